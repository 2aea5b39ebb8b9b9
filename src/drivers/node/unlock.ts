/** Reads what unlocks a store from where the person keeps it. None of it passes through argv or a log. */
import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { passphraseSecret, type UnlockSecret } from '../../adapters/keystore/slot.ts';
import { MeshError } from '../../entities/errors.ts';
import { Secret } from '../../entities/secret.ts';
import { fromUtf8 } from '../../entities/text.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { errorCode, syncDirectory, writeFailure } from './durable-file.ts';

const KEY_BYTES = 32;
const LONGEST_PASSPHRASE = 4096;
const CREDENTIAL = 'mesh-key';
const OTHERS = 0o077;

/** A key file holds 32 random bytes and nothing else. */
export async function readKeyFile(path: string): Promise<UnlockSecret> {
  return { kind: 'key-file', secret: keyOf(path, await readSecret(path, 'owner only')) };
}

/** Makes a key file. Never replaces one: the store that the old key opens would be lost. */
export async function makeKeyFile(path: string, randomness: Randomness): Promise<UnlockSecret> {
  const fresh = `${path}.new`;
  const key = randomness(KEY_BYTES);
  try {
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(key);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(fresh, path);
    await rm(fresh);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(fresh, { force: true });
    if (errorCode(error) === 'EEXIST') throw unreadable(path, 'it exists already and is not replaced', error);
    throw writeFailure(error);
  }
  return { kind: 'key-file', secret: new Secret(key) };
}

/** The first line of a file, or of a pipe. */
export async function readPassphraseFile(path: string): Promise<UnlockSecret> {
  const text = fromUtf8(await readSecret(path, 'owner only'));
  if (text === undefined) throw unreadable(path, 'it is not UTF-8');
  const line = text.replace(/\r?\n.*$/s, '');
  if (line === '') throw unreadable(path, 'its first line is empty');
  return passphraseSecret(line);
}

/** What systemd hands to a service; it guards that directory itself. */
export async function readCredential(directory: string | undefined): Promise<UnlockSecret> {
  if (directory === undefined) throw unreadable(CREDENTIAL, 'systemd gave no CREDENTIALS_DIRECTORY');
  const path = join(directory, CREDENTIAL);
  return { kind: 'credential', secret: keyOf(path, await readSecret(path, 'guarded by systemd')) };
}

function keyOf(path: string, bytes: Uint8Array): Secret {
  if (bytes.length !== KEY_BYTES) throw unreadable(path, `it has to hold ${KEY_BYTES} bytes`);
  return new Secret(bytes);
}

const unreadable = (path: string, detail: string, cause?: unknown) =>
  new MeshError('store-secret-unreadable', { path, detail }, cause);

/** Checks the very file that it reads. A link to it is followed: its target is what has to be guarded. */
async function readSecret(path: string, guard: 'owner only' | 'guarded by systemd'): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw unreadable(path, errorCode(error) ?? 'unknown', error);
  }
  try {
    const found = await file.stat();
    if (!found.isFile() && !found.isFIFO()) throw unreadable(path, 'it is not a file');
    if (guard === 'owner only') {
      if ((found.mode & OTHERS) !== 0) throw new MeshError('store-secret-exposed', { path });
      if (found.uid !== process.geteuid?.()) throw new MeshError('store-foreign-owner', { path });
    }
    return await readUpTo(file, path, LONGEST_PASSPHRASE);
  } finally {
    await file.close();
  }
}

async function readUpTo(file: FileHandle, path: string, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most + 1);
  let length = 0;
  while (length <= most) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
    if (bytesRead === 0) return bytes.slice(0, length);
    length += bytesRead;
  }
  throw unreadable(path, `it is longer than ${most} bytes`);
}
