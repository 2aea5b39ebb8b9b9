/**
 * Who stands how: rules 1 to 5 of the membership log, as a function of a set of entries. The entries must be
 * closed (`closedLog`): every one with its whole chain, and every author brought in by another entry.
 */
import type { DeviceId } from '../device-id.ts';
import type { DeviceKeys } from '../keys.ts';
import type { MeshId } from '../mesh-id.ts';
import { type Entry, type EntryHash, isKind, type Log } from './entry.ts';

export interface Standing {
  /** Rule 1: the device of GENESIS and all that were ever added, by whomever. */
  readonly everMembers: ReadonlyMap<DeviceId, DeviceKeys>;
  /** Rule 2: the targets of all revocations, those that no ADD has brought in (yet) among them. */
  readonly removed: ReadonlySet<DeviceId>;
  /** Removed by nobody but themselves. */
  readonly left: ReadonlySet<DeviceId>;
  /** Rule 3, with rule 5. */
  readonly counted: ReadonlySet<DeviceId>;
  /** Rule 4. */
  readonly members: ReadonlySet<DeviceId>;
  /** Rule 5: the lowest number at which an author has written twice. */
  readonly forks: ReadonlyMap<DeviceId, number>;
  /**
   * True where what the entry grants has force: its author is counted, it lies within every cut on its author,
   * and before its author's fork. What an entry takes away has force without this (rule 2).
   */
  counts(entry: Entry): boolean;
}

export function standingOf(genesis: Entry, log: Log): Standing {
  const everMembers = new Map<DeviceId, DeviceKeys>();
  const revoked = new Set<DeviceId>();
  const leavers = new Set<DeviceId>();
  const cuts = new Map<DeviceId, Set<EntryHash | null>>();
  const forks = new Map<DeviceId, number>();
  const positions = new Set<string>();
  const additions = new Map<DeviceId, { entry: Entry; device: DeviceId }[]>();
  const removed = new Set<DeviceId>();

  const cutOff = (target: DeviceId, cut: EntryHash | null): void => {
    removed.add(target);
    const known = cuts.get(target);
    if (known === undefined) cuts.set(target, new Set([cut]));
    else known.add(cut);
  };

  for (const entry of log.values()) {
    const author = entry.author.id;
    const position = `${author}${entry.sequence}`;
    if (positions.has(position)) {
      forks.set(author, Math.min(entry.sequence, forks.get(author) ?? entry.sequence));
    }
    positions.add(position);
    if (isKind(entry, 'genesis')) {
      everMembers.set(author, entry.body.keys);
    } else if (isKind(entry, 'add')) {
      everMembers.set(entry.body.device, entry.body.keys);
      const adds = additions.get(author);
      if (adds === undefined) additions.set(author, [{ entry, device: entry.body.device }]);
      else adds.push({ entry, device: entry.body.device });
    } else if (isKind(entry, 'revoke')) {
      revoked.add(entry.body.target);
      cutOff(entry.body.target, entry.body.cut);
    } else if (isKind(entry, 'leave')) {
      leavers.add(author);
      cutOff(author, entry.hash);
    }
  }

  const within = new Map<DeviceId, ReadonlySet<EntryHash>>();
  for (const [author, ends] of cuts) within.set(author, sharedChain(log, ends));

  /** Says nothing about whether the author is counted. */
  const isInForce = (entry: Entry): boolean => {
    const author = entry.author.id;
    return (
      entry.sequence < (forks.get(author) ?? Number.POSITIVE_INFINITY) &&
      (within.get(author)?.has(entry.hash) ?? true)
    );
  };

  // The least set: nothing is counted until an addition by a counted device says so.
  const counted = new Set<DeviceId>([genesis.author.id]);
  for (const device of counted) {
    for (const addition of additions.get(device) ?? []) {
      if (isInForce(addition.entry)) counted.add(addition.device);
    }
  }

  return {
    everMembers,
    removed,
    left: new Set([...leavers].filter((device) => !revoked.has(device))),
    counted,
    members: new Set([...counted].filter((device) => !removed.has(device))),
    forks,
    counts: (entry) => counted.has(entry.author.id) && isInForce(entry),
  };
}

/**
 * The entries that lie within every cut; a cut in another author's chain holds none of the target's. Ancestors
 * are those of the author's own chain: an entry has one predecessor there, which is known whenever the entry is.
 * What else the author said it had seen is a claim of a device that is no longer trusted, and would let it draw
 * other branches of a fork in.
 */
function sharedChain(log: Log, ends: ReadonlySet<EntryHash | null>): Set<EntryHash> {
  let shared: Set<EntryHash> | undefined;
  for (const end of ends) {
    const chain = new Set<EntryHash>();
    let entry = end === null ? undefined : log.get(end);
    while (entry !== undefined) {
      if (shared === undefined || shared.has(entry.hash)) chain.add(entry.hash);
      entry = entry.previous === null ? undefined : log.get(entry.previous);
    }
    shared = chain;
    if (shared.size === 0) break;
  }
  return shared ?? new Set();
}

/**
 * The part of any set of entries that can be judged: of this mesh, each with its whole chain, each by a device
 * that GENESIS or an ADD of this part has brought in. Keeps the order of `entries` as far as chains allow.
 */
export function closedLog(mesh: MeshId, genesis: Entry, entries: Iterable<Entry>): Log {
  const known = new Map<EntryHash, Entry>([[genesis.hash, genesis]]);
  const waiting = new Map<string, Entry[]>();
  const seen = new Set<EntryHash>([genesis.hash]);
  const devices = new Set<DeviceId>();

  const wait = (key: string, entry: Entry): void => {
    const list = waiting.get(key);
    if (list === undefined) waiting.set(key, [entry]);
    else list.push(entry);
  };
  const wake = (key: string): Entry[] => {
    const list = waiting.get(key) ?? [];
    waiting.delete(key);
    return list;
  };
  const settle = (first: Entry): void => {
    const queue: Entry[] = [first];
    for (const entry of queue) {
      if (!devices.has(entry.author.id)) {
        wait(entry.author.id, entry);
        continue;
      }
      if (entry.previous === null) {
        if (entry.sequence !== 1) continue;
      } else {
        const before = known.get(entry.previous);
        if (before === undefined) {
          wait(entry.previous, entry);
          continue;
        }
        if (before.author.id !== entry.author.id || before.sequence !== entry.sequence - 1) continue;
      }
      known.set(entry.hash, entry);
      queue.push(...wake(entry.hash));
      if (entry.body.kind === 'add' && !devices.has(entry.body.device)) {
        devices.add(entry.body.device);
        queue.push(...wake(entry.body.device));
      }
    }
  };

  devices.add(genesis.author.id);
  for (const entry of entries) {
    if (entry.mesh !== mesh || seen.has(entry.hash)) continue;
    seen.add(entry.hash);
    settle(entry);
  }
  return known;
}
