/**
 * The roster: what a set of entries means. It is a function of the set alone, so members that hold the same
 * entries see the same devices, in whatever order and however often the entries came.
 */
import { type Hash, labelledHash } from '../crypto.ts';
import type { DeviceId } from '../device-id.ts';
import type { DeviceKeys } from '../keys.ts';
import { type MeshId, meshIdBytes } from '../mesh-id.ts';
import {
  deriveMeshId,
  type Entry,
  type EntryHash,
  hashBytes,
  isKind,
  type Log,
  type WrittenName,
} from './entry.ts';
import { foldGroups, type Group } from './groups.ts';
import { currentNamings, deviceNames, settledName } from './names.ts';
import { closedLog, type Standing, standingOf } from './standing.ts';

/**
 * `void`: every addition of the device has lost its force, but nobody has removed it; it can be added again.
 * `left` and `removed` are for ever.
 */
export type DeviceStatus = 'member' | 'void' | 'left' | 'removed';

export interface RosterDevice {
  readonly id: DeviceId;
  readonly keys: DeviceKeys;
  readonly name: WrittenName;
  readonly status: DeviceStatus;
  /** Those whose additions of it count; where none does, all who ever added it. Empty for the founder. */
  readonly addedBy: readonly DeviceId[];
  /** The revocations of it, LEAVE among them. */
  readonly revocations: readonly EntryHash[];
  /** The namings that a new name replaces. */
  readonly namings: readonly EntryHash[];
}

export interface Fork {
  readonly sequence: number;
  /** All entries that the author wrote under this number. */
  readonly entries: readonly EntryHash[];
}

/** The last entry of a chain. A forked author has several. */
export interface Head {
  readonly author: DeviceId;
  readonly sequence: number;
  readonly hash: EntryHash;
}

export interface Roster {
  readonly mesh: MeshId;
  readonly founder: DeviceId;
  readonly standing: Standing;
  /** Every device that was ever added, in the order of ids. */
  readonly devices: ReadonlyMap<DeviceId, RosterDevice>;
  readonly members: ReadonlySet<DeviceId>;
  readonly forks: ReadonlyMap<DeviceId, Fork>;
  readonly groups: readonly Group[];
  /** In the order of hashes. */
  readonly heads: readonly Head[];
  /** The entries that no other entry names as predecessor or as seen, in the order of hashes. */
  readonly frontier: readonly EntryHash[];
  /** 32 bytes. Equal digests mean equal sets of entries. */
  readonly digest: Uint8Array;
}

const DIGEST_LABEL = 'roster v1';

/**
 * Entries are taken as verified. Those that cannot be judged yet, because a part of their chain or their
 * author's addition is not among them, are left out of everything.
 */
export function foldRoster(hash: Hash, genesis: Entry, entries: Iterable<Entry>): Roster {
  const mesh = deriveMeshId(hash, genesis.hash);
  return rosterOf(hash, mesh, genesis, closedLog(mesh, genesis, entries));
}

/** As `foldRoster`, for a log that is closed already. */
export function rosterOf(hash: Hash, mesh: MeshId, genesis: Entry, log: Log): Roster {
  const standing = standingOf(genesis, log);
  const heads = headsOf(log);
  return {
    mesh,
    founder: genesis.author.id,
    standing,
    devices: describeDevices(log, standing),
    members: standing.members,
    forks: describeForks(log, standing),
    groups: foldGroups(log, standing),
    heads,
    frontier: frontierOf(log),
    digest: digestOf(hash, mesh, heads),
  };
}

/**
 * Every entry names its predecessor by hash and is held only together with it, so the ends of the chains name
 * the whole set: nobody can find two sets with the same ends.
 */
function digestOf(hash: Hash, mesh: MeshId, heads: readonly Head[]): Uint8Array {
  return labelledHash(hash, DIGEST_LABEL, meshIdBytes(mesh), ...heads.map((head) => hashBytes(head.hash)));
}

function headsOf(log: Log): Head[] {
  const followed = new Set<EntryHash | null>();
  for (const entry of log.values()) followed.add(entry.previous);
  const heads: Head[] = [];
  for (const { hash, author, sequence } of log.values()) {
    if (!followed.has(hash)) heads.push({ author: author.id, sequence, hash });
  }
  return heads.sort((a, b) => (a.hash < b.hash ? -1 : 1));
}

function frontierOf(log: Log): EntryHash[] {
  const named = new Set<EntryHash | null>();
  for (const entry of log.values()) {
    named.add(entry.previous);
    for (const head of entry.heads) named.add(head);
  }
  return [...log.keys()].filter((hash) => !named.has(hash)).sort();
}

function describeForks(log: Log, standing: Standing): ReadonlyMap<DeviceId, Fork> {
  const found = new Map<DeviceId, EntryHash[]>();
  for (const entry of log.values()) {
    const author = entry.author.id;
    if (standing.forks.get(author) === entry.sequence) {
      found.set(author, [...(found.get(author) ?? []), entry.hash]);
    }
  }
  return new Map(
    [...found]
      .sort(byKey)
      .map(([author, entries]) => [
        author,
        { sequence: standing.forks.get(author) ?? 0, entries: entries.sort() },
      ]),
  );
}

function describeDevices(log: Log, standing: Standing): ReadonlyMap<DeviceId, RosterDevice> {
  const names = deviceNames(log, standing);
  const adders = new Map<DeviceId, { by: DeviceId; counts: boolean }[]>();
  const revocations = new Map<DeviceId, EntryHash[]>();
  for (const entry of log.values()) {
    if (isKind(entry, 'add')) {
      const { device } = entry.body;
      const adder = { by: entry.author.id, counts: standing.counts(entry) };
      adders.set(device, [...(adders.get(device) ?? []), adder]);
    } else if (isKind(entry, 'revoke') || isKind(entry, 'leave')) {
      const target = isKind(entry, 'revoke') ? entry.body.target : entry.author.id;
      revocations.set(target, [...(revocations.get(target) ?? []), entry.hash]);
    }
  }
  const devices = [...standing.everMembers].sort(byKey).map(([id, keys]): [DeviceId, RosterDevice] => {
    const { renames = [], original = undefined } = names.get(id) ?? {};
    const added = adders.get(id) ?? [];
    const counting = added.filter((adder) => adder.counts);
    return [
      id,
      {
        id,
        keys,
        name: settledName(renames, original),
        status: statusOf(id, standing),
        addedBy: [...new Set((counting.length > 0 ? counting : added).map((adder) => adder.by))].sort(),
        revocations: (revocations.get(id) ?? []).sort(),
        namings: currentNamings(renames).map((naming) => naming.hash),
      },
    ];
  });
  return new Map(devices);
}

function statusOf(id: DeviceId, standing: Standing): DeviceStatus {
  if (standing.left.has(id)) return 'left';
  if (standing.removed.has(id)) return 'removed';
  return standing.counted.has(id) ? 'member' : 'void';
}

function byKey<T>([a]: readonly [string, T], [b]: readonly [string, T]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
