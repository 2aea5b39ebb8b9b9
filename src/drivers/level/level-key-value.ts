/**
 * The key-value database over Level. This is the one file that knows Level's words; its errors leave it in ours.
 */
import { Level } from 'level';
import type { KeyValue } from '../../adapters/keystore/key-value.ts';
import { MeshError } from '../../entities/errors.ts';

type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

/**
 * What is used of abstract-level's interface. The shape is a parameter, so that a database which forgets
 * unsynced batches can be put under this driver in tests.
 */
export interface LevelDatabase {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  batch(operations: Operation[], options: { readonly sync: boolean }): Promise<void>;
  iterator(range: {
    readonly gte: Uint8Array;
    readonly lt: Uint8Array;
  }): AsyncIterable<[Uint8Array, Uint8Array]>;
  close(): Promise<void>;
}

/**
 * Throws `store-damaged` where Level cannot make sense of its files, `store-in-use` where another process has
 * them, `store-full` or `store-write-failed` where they cannot be written.
 */
export async function openLevel(path: string, { create }: { readonly create: boolean }): Promise<KeyValue> {
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    createIfMissing: create,
    errorIfExists: create,
    // What is sealed does not get smaller.
    compression: false,
    // A record is read once or twice, soon after it was written: what the system caches is enough.
    cacheSize: 1024 * 1024,
    writeBufferSize: 2 * 1024 * 1024,
  });
  try {
    await level.open();
  } catch (error) {
    throw translated(error, 'reading');
  }
  return levelKeyValue(level);
}

export function levelKeyValue(level: LevelDatabase): KeyValue {
  return {
    get: (name) => translating('reading', async () => plain(await level.get(name))),
    getMany: (names) => translating('reading', async () => (await level.getMany([...names])).map(plain)),
    async *entries(prefix) {
      try {
        for await (const [name, value] of level.iterator({ gte: prefix, lt: after(prefix) })) {
          yield { name: new Uint8Array(name), value: new Uint8Array(value) };
        }
      } catch (error) {
        throw error instanceof MeshError ? error : translated(error, 'reading');
      }
    },
    write: (batch) =>
      translating('writing', () =>
        level.batch(
          batch.map((write) =>
            'put' in write
              ? { type: 'put', key: write.name, value: write.put }
              : { type: 'del', key: write.name },
          ),
          { sync: true },
        ),
      ),
    close: () => translating('writing', () => level.close()),
  };
}

function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

/** The first name that no longer begins with the prefix. */
function after(prefix: Uint8Array): Uint8Array {
  const next = prefix.slice();
  next[next.length - 1] = (next.at(-1) ?? 0) + 1;
  return next;
}

type Activity = 'reading' | 'writing';

async function translating<T>(activity: Activity, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error, activity);
  }
}

/** Level wraps: the code that says what happened may be the error's or that of its cause. */
function translated(error: unknown, activity: Activity): MeshError {
  const { code, message } = innermost(error);
  if (code === 'LEVEL_LOCKED') return new MeshError('store-in-use', {}, error);
  if (/No space left on device|Disk quota exceeded/.test(message))
    return new MeshError('store-full', {}, error);
  // It says nothing about the disk.
  if (/Too many open files/.test(message))
    return new MeshError('store-unreadable', { detail: message }, error);
  if (code === 'LEVEL_CORRUPTION' || activity === 'reading') {
    return new MeshError('store-damaged', { detail: message }, error);
  }
  return new MeshError('store-write-failed', { detail: message }, error);
}

function innermost(error: unknown): { readonly code: string | undefined; readonly message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: 'unknown' };
  if (error.cause instanceof Error) return innermost(error.cause);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { code, message: error.message };
}
