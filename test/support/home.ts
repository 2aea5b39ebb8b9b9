/** Data directories for tests, and looking at what is in them. */
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UnlockSecret } from '../../src/adapters/keystore/slot.ts';
import { Secret } from '../../src/entities/secret.ts';

export const keyFileSecret = (byte = 1): UnlockSecret => ({
  kind: 'key-file',
  secret: new Secret(new Uint8Array(32).fill(byte)),
});

/** scrypt at a cost that tests can pay. */
export const cheap = { logN: 10, r: 8, p: 1 };

export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'mesh-home-'));
}

/** In memory where the system has a place for that: for thousands of openings, each of which syncs. */
export async function fastDirectory(): Promise<string> {
  return mkdtemp('/dev/shm/mesh-home-').catch(temporaryDirectory);
}

/** Level's log is for people, and its lock may not be opened: closing it would unlock it. */
const NOT_DATA = new Set(['LOG', 'LOG.old', 'LOCK']);

/** Every file below a directory that holds data, by its path. */
export async function imageOf(directory: string): Promise<Map<string, Buffer>> {
  const image = new Map<string, Buffer>();
  const visit = async (below: string): Promise<void> => {
    for (const name of (await readdir(join(directory, below))).sort()) {
      const path = join(below, name);
      const found = await lstat(join(directory, path));
      if (found.isDirectory()) await visit(path);
      else if (found.isFile() && !NOT_DATA.has(name)) image.set(path, await readFile(join(directory, path)));
    }
  };
  await visit('');
  return image;
}

export async function copyTree(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory()) await copyTree(join(from, entry.name), join(to, entry.name));
    else await copyFile(join(from, entry.name), join(to, entry.name));
  }
}

/** All that a thief of the disk has, Level's log for people included. */
export async function wholeImage(directory: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    parts.push(Buffer.from(`${entry.name}\n`));
    if (entry.isFile() && entry.name !== 'LOCK')
      parts.push(await readFile(join(entry.parentPath, entry.name)));
  }
  return Buffer.concat(parts);
}
