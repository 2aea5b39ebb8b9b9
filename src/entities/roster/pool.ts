/**
 * Entries that came before what they build on. The pool is memory only and bounded: what falls out of it costs
 * another round with a peer, never an entry. Nothing in it is part of the log.
 */
import { toHex } from '../bytes.ts';
import type { DeviceId } from '../device-id.ts';
import type { Entry, EntryHash } from './entry.ts';

export const POOL_MAX_ENTRIES = 8192;
export const POOL_MAX_BYTES = 8 * 1024 * 1024;

/** By `poolKey`, in the order of arrival. */
export type Pool = ReadonlyMap<string, Entry>;

/**
 * A signature cannot be checked while its author is unknown, so two copies with different signatures are both
 * kept: a spoilt copy that comes first must not displace the good one.
 */
export function poolKey(entry: Entry): string {
  return `${entry.hash}${toHex(entry.signature)}`;
}

export interface OpenPool {
  readonly size: number;
  put(entry: Entry): void;
  take(entry: Entry): void;
  copies(hash: EntryHash): readonly Entry[];
  followers(previous: EntryHash): readonly Entry[];
  by(author: DeviceId): readonly Entry[];
  close(): Pool;
}

/** A pool that can be changed; `first` stays as it is. Covered entries are the last to be dropped. */
export function openPool(first: Pool, isCovered: (hash: EntryHash) => boolean): OpenPool {
  const entries = new Map<string, Entry>();
  const byHash = new Map<EntryHash, Entry[]>();
  const byPrevious = new Map<EntryHash, Entry[]>();
  let bytes = 0;

  const take = (entry: Entry): void => {
    const held = entries.get(poolKey(entry));
    if (held === undefined) return;
    entries.delete(poolKey(entry));
    bytes -= held.bytes.length;
    drop(byHash, held.hash, held);
    if (held.previous !== null) drop(byPrevious, held.previous, held);
  };
  const put = (entry: Entry): void => {
    if (entries.has(poolKey(entry))) return;
    entries.set(poolKey(entry), entry);
    bytes += entry.bytes.length;
    push(byHash, entry.hash, entry);
    if (entry.previous !== null) push(byPrevious, entry.previous, entry);
    while (entries.size > POOL_MAX_ENTRIES || bytes > POOL_MAX_BYTES) {
      take(oldestToDrop(entries.values(), isCovered) ?? entry);
    }
  };
  for (const entry of first.values()) put(entry);

  return {
    get size() {
      return entries.size;
    },
    put,
    take,
    copies: (hash) => [...(byHash.get(hash) ?? [])],
    followers: (previous) => [...(byPrevious.get(previous) ?? [])],
    by: (author) => [...entries.values()].filter((entry) => entry.author.id === author),
    close: () => entries,
  };
}

function oldestToDrop(entries: Iterable<Entry>, isCovered: (hash: EntryHash) => boolean): Entry | undefined {
  let oldest: Entry | undefined;
  for (const entry of entries) {
    if (!isCovered(entry.hash)) return entry;
    oldest ??= entry;
  }
  return oldest;
}

function push(index: Map<EntryHash, Entry[]>, key: EntryHash, entry: Entry): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [entry]);
  else list.push(entry);
}

function drop(index: Map<EntryHash, Entry[]>, key: EntryHash, entry: Entry): void {
  const left = (index.get(key) ?? []).filter((other) => other !== entry);
  if (left.length === 0) index.delete(key);
  else index.set(key, left);
}
