/** What unlocks the store, from wherever the person keeps it; the order is the contract's. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { passphraseSecret, type UnlockSecret } from '../../adapters/keystore/slot.ts';
import { MeshError } from '../../entities/errors.ts';
import { exists, homeAt } from '../node/home.ts';
import { nodeRandomness } from '../node/randomness.ts';
import { makeKeyFile, readCredential, readKeyFile, readPassphraseFile } from '../node/unlock.ts';
import type { Invocation } from './invocation.ts';
import { defaultKeyFile, nonEmpty } from './places.ts';

interface Named {
  readonly keyFile: string | undefined;
  readonly passphraseFile: string | undefined;
}

/** An option comes before any variable. */
function named({ options }: Invocation): Named {
  const { keyFile, passphraseFile } = options;
  if (keyFile !== undefined && passphraseFile !== undefined) {
    const detail = 'give --key-file or --passphrase-file, not both';
    throw new MeshError('usage', { detail });
  }
  if (keyFile !== undefined || passphraseFile !== undefined) return { keyFile, passphraseFile };
  const fromEnvironment = nonEmpty(process.env.MESH_KEY_FILE);
  if (fromEnvironment !== undefined) return { keyFile: fromEnvironment, passphraseFile: undefined };
  return { keyFile: undefined, passphraseFile: nonEmpty(process.env.MESH_PASSPHRASE_FILE) };
}

const credentials = (): string | undefined => {
  const directory = nonEmpty(process.env.CREDENTIALS_DIRECTORY);
  return directory !== undefined && existsSync(join(directory, 'mesh-key')) ? directory : undefined;
};

/** For a store that is there. Throws `store-not-initialised` before it asks anybody anything. */
export async function findUnlockSecret(invocation: Invocation): Promise<UnlockSecret> {
  const { home } = invocation;
  const { keyFile, passphraseFile } = named(invocation);
  if (!(await exists(homeAt(home).header))) throw await whyMissing(home);
  if (keyFile !== undefined) return readKeyFile(keyFile);
  if (passphraseFile !== undefined) return readPassphraseFile(passphraseFile);
  const directory = credentials();
  if (directory !== undefined) return readCredential(directory);
  const own = defaultKeyFile(home);
  if (await exists(own)) return readKeyFile(own);
  const { askSecret, isTerminal } = await import('./prompt.ts');
  if (isTerminal()) return passphraseSecret(await askSecret('passphrase: '));
  throw new MeshError('store-no-secret', { home });
}

/** The file that unlocks a store that is there, for somebody who cannot be asked. Throws `service-needs-key`. */
export async function findUnlockFile(
  invocation: Invocation,
): Promise<{ readonly by: 'key-file' | 'passphrase-file'; readonly path: string }> {
  const { home } = invocation;
  const { keyFile, passphraseFile } = named(invocation);
  if (!(await exists(homeAt(home).header))) throw await whyMissing(home);
  const path = keyFile ?? passphraseFile ?? defaultKeyFile(home);
  if (!(await exists(path))) {
    if (keyFile === undefined && passphraseFile === undefined) throw new MeshError('service-needs-key');
    throw new MeshError('store-secret-unreadable', { path, detail: 'ENOENT' });
  }
  return { by: passphraseFile === undefined ? 'key-file' : 'passphrase-file', path: resolve(path) };
}

/** A database without its header is damage, not absence. */
async function whyMissing(home: string): Promise<MeshError> {
  const { database, creating } = homeAt(home);
  if ((await exists(database)) && !(await exists(creating))) {
    return new MeshError('store-damaged', { detail: 'its header is missing' });
  }
  return new MeshError('store-not-initialised', { home });
}

export interface NewUnlockSecret {
  readonly unlock: UnlockSecret;
  /** The key file that was made now. */
  readonly made: string | undefined;
}

/** For a store that is to be made: a key file that is missing is made too. */
export async function chooseUnlockSecret(invocation: Invocation): Promise<NewUnlockSecret> {
  const { keyFile, passphraseFile } = named(invocation);
  if (keyFile !== undefined) return keyFileAt(keyFile);
  if (passphraseFile !== undefined) {
    return { unlock: await readPassphraseFile(passphraseFile), made: undefined };
  }
  const directory = credentials();
  if (directory !== undefined) return { unlock: await readCredential(directory), made: undefined };
  const { askSecret, isTerminal } = await import('./prompt.ts');
  if (isTerminal()) {
    const passphrase = await askSecret('passphrase (empty for a key file): ');
    if (passphrase !== '') {
      if ((await askSecret('the same again: ')) !== passphrase) throw new MeshError('passphrase-mismatch');
      return { unlock: passphraseSecret(passphrase), made: undefined };
    }
  }
  return keyFileAt(defaultKeyFile(invocation.home));
}

/** The same call for somebody who is not to be asked: where nothing else was named, a key file at its usual place. */
export function withoutQuestions(invocation: Invocation): Invocation {
  const { keyFile, passphraseFile } = named(invocation);
  if (keyFile !== undefined || passphraseFile !== undefined || credentials() !== undefined) return invocation;
  const options = { ...invocation.options, keyFile: defaultKeyFile(invocation.home) };
  return { ...invocation, options };
}

export async function keyFileAt(path: string): Promise<NewUnlockSecret> {
  if (await exists(path)) return { unlock: await readKeyFile(path), made: undefined };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return { unlock: await makeKeyFile(path, nodeRandomness), made: path };
}
