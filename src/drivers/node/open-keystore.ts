/**
 * Puts the keystore of this platform together. The order matters: everything that can be found wrong without
 * letting Level in is found first, and nothing is changed until the store has proved to be ours and whole.
 */
import { rm } from 'node:fs/promises';
import type { AnchorFile, KeyValue } from '../../adapters/keystore/key-value.ts';
import { schemaAfter, migrations as shippedMigrations } from '../../adapters/keystore/migration.ts';
import {
  createSealedKeystore,
  type KeystoreOptions,
  type KeystoreParts,
  openSealedKeystore,
} from '../../adapters/keystore/sealed-keystore.ts';
import type { Stretch, StretchingCost, UnlockSecret } from '../../adapters/keystore/slot.ts';
import { type HeaderParts, type Slots, UnlockedHeader } from '../../adapters/keystore/unlocked-header.ts';
import type { Primitives } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { Keystore } from '../../usecases/ports/keystore.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { withBulk } from '../level/bulk-key-value.ts';
import { openLevel } from '../level/level-key-value.ts';
import { nodeClock } from './clock.ts';
import { readIfPresent, replaceFile, syncDirectory } from './durable-file.ts';
import { checkHome, closeToOthers, exists, type Home, homeAt, makeHome } from './home.ts';
import { nodePrimitives, nodeStretch } from './primitives.ts';
import { type ProcessLock, takeLock } from './process-lock.ts';
import { nodeRandomness } from './randomness.ts';
import { dropAside, finishPuttingBack, putBack, setAside } from './set-aside.ts';

export interface KeystorePlatform {
  readonly primitives: Primitives;
  readonly stretch: Stretch;
  readonly randomness: Randomness;
  readonly clock: Clock;
}

export const nodePlatform: KeystorePlatform = {
  primitives: nodePrimitives,
  stretch: nodeStretch,
  randomness: nodeRandomness,
  clock: nodeClock,
};

export interface OpenKeystore {
  /** Closing it gives the whole directory back. */
  readonly keystore: Keystore;
  readonly slots: Slots;
}

export interface CreateOptions extends KeystoreOptions {
  /** What guessing at a passphrase shall cost. */
  readonly cost?: StretchingCost;
}

/**
 * Makes a store in a directory that has none, and the directory where it is missing. Throws `store-exists`, and
 * `store-damaged` where there is a store without a header: that is nothing to build over.
 */
export async function createKeystore(
  path: string,
  unlock: UnlockSecret,
  options: CreateOptions = {},
  platform: KeystorePlatform = nodePlatform,
): Promise<OpenKeystore> {
  closeToOthers();
  const home = homeAt(path);
  await makeHome(home);
  return locking(home, async (lock) => {
    if (await exists(home.header)) throw new MeshError('store-exists', { home: path });
    if (await exists(home.creating)) await clearHalfMade(home);
    else await refuseHeadless(home);
    await replaceFile(home.creating, new Uint8Array());

    const schema = schemaAfter(options.migrations ?? shippedMigrations);
    const header = await UnlockedHeader.create(headerParts(home, platform), schema, unlock, options.cost);
    const database = await openDatabase(home, { create: true });
    return closingOnFailure(database, async () => {
      const keystore = await createSealedKeystore(
        keystoreParts(home, lock, database, header, platform),
        options,
      );
      await syncDirectory(home.path);
      // From here on there is a store.
      await header.save();
      await rm(home.creating);
      return { keystore, slots: header };
    });
  });
}

/**
 * Opens the store of a directory and verifies its history. Whatever it throws, the directory is then as it was.
 */
export async function openKeystore(
  path: string,
  unlock: UnlockSecret,
  options: KeystoreOptions = {},
  platform: KeystorePlatform = nodePlatform,
): Promise<OpenKeystore> {
  closeToOthers();
  const home = homeAt(path);
  await checkHome(home);
  return locking(home, async (lock) => {
    const bytes = await readIfPresent(home.header);
    if (bytes === undefined) {
      if (!(await exists(home.creating))) await refuseHeadless(home);
      throw new MeshError('store-not-initialised', { home: path });
    }
    const schema = schemaAfter(options.migrations ?? shippedMigrations);
    const header = await UnlockedHeader.unlock(headerParts(home, platform), bytes, schema, unlock);
    if (header === undefined) throw new MeshError('store-wrong-secret', { home: path });

    await finishPuttingBack(home);
    if (!(await exists(home.database))) {
      throw new MeshError('store-damaged', { detail: 'its database is missing' });
    }
    const keystore = await openSetAside(home, async () => {
      const database = await openDatabase(home, { create: false });
      const parts = keystoreParts(home, lock, database, header, platform);
      return closingOnFailure(database, () => openSealedKeystore(parts, options));
    });
    await closingOnFailure(keystore, async () => {
      await dropAside(home);
      if (header.schema < schema) await header.setSchema(schema);
      await rm(home.creating, { force: true });
    });
    return { keystore, slots: header };
  });
}

/** Segments are nothing to look at before Level has locked the database. */
async function openDatabase(home: Home, { create }: { readonly create: boolean }): Promise<KeyValue> {
  const level = await openLevel(home.database, { create });
  return closingOnFailure(level, () => withBulk(level, home.bulk));
}

async function refuseHeadless(home: Home): Promise<void> {
  for (const part of [home.database, home.bulk, home.anchor]) {
    if (await exists(part)) throw new MeshError('store-damaged', { detail: 'its header is missing' });
  }
}

/** A store without a header that is known to have been in the making holds nothing that anybody was promised. */
async function clearHalfMade(home: Home): Promise<void> {
  await rm(home.database, { recursive: true, force: true });
  await rm(home.bulk, { recursive: true, force: true });
  await rm(home.anchor, { force: true });
}

function headerParts(home: Home, { primitives, stretch, randomness }: KeystorePlatform): HeaderParts {
  return { primitives, stretch, randomness, replace: (bytes) => replaceFile(home.header, bytes) };
}

function keystoreParts(
  home: Home,
  lock: ProcessLock,
  opened: KeyValue,
  header: UnlockedHeader,
  { primitives, randomness, clock }: KeystorePlatform,
): KeystoreParts {
  const anchor: AnchorFile = {
    read: () => readIfPresent(home.anchor),
    replace: (bytes) => replaceFile(home.anchor, bytes),
  };
  const database: KeyValue = {
    ...opened,
    async close() {
      await lock.release();
      await opened.close();
    },
  };
  return { database, anchor, keys: header.storeKeys(), primitives, randomness, clock };
}

async function locking<T>(home: Home, work: (lock: ProcessLock) => Promise<T>): Promise<T> {
  const lock = await takeLock(home);
  try {
    return await work(lock);
  } catch (error) {
    await lock.release();
    if (!(error instanceof MeshError) || error.code !== 'store-in-use') throw error;
    // Level has seen a process that our own file does not name.
    throw new MeshError('store-in-use', { home: home.path, pid: 'unknown' }, error);
  }
}

async function openSetAside(home: Home, open: () => Promise<Keystore>): Promise<Keystore> {
  await setAside(home);
  try {
    return await open();
  } catch (error) {
    // Where another process is at work the directory is its own, and nothing has been changed in it.
    if (error instanceof MeshError && error.code === 'store-in-use') await dropAside(home);
    else await putBack(home);
    throw error;
  }
}

async function closingOnFailure<T>(open: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The first failure is the one to tell.
    await open.close().catch(() => undefined);
    throw error;
  }
}
