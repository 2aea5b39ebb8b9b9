/** Files that are replaced as a whole: after a crash there is the old one or the new one. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MeshError } from '../../entities/errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT']);

export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** A failed writing in the words of the errors: `store-full` or `store-write-failed`. */
export function writeFailure(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const code = errorCode(error);
  if (code !== undefined && FULL.has(code)) return new MeshError('store-full', {}, error);
  const detail = code ?? (error instanceof Error ? error.message : 'unknown');
  return new MeshError('store-write-failed', { detail }, error);
}

export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  try {
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw writeFailure(error);
  }
}

/** Makes names that were added to or taken from a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The bytes, or `undefined` where there is no such file. */
export async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new MeshError('store-damaged', { detail: `${path} cannot be read (${errorCode(error)})` }, error);
  }
}
