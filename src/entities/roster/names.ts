/**
 * What a device or a group is called. A new name says which ones it replaces; where two were given at the same
 * time, neither replaces the other and the hashes decide, the same way everywhere.
 */
import { type Entry, type EntryHash, isKind, type Log, type WrittenName } from './entry.ts';
import type { Standing } from './standing.ts';

export interface Naming {
  readonly hash: EntryHash;
  readonly name: WrittenName;
  readonly replaces: readonly EntryHash[];
}

/** The namings that no other one replaces, in the order of their hashes. */
export function currentNamings(namings: readonly Naming[]): Naming[] {
  const replaced = new Set(namings.flatMap((naming) => naming.replaces));
  return namings
    .filter((naming) => !replaced.has(naming.hash))
    .sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
}

export function settledName(namings: readonly Naming[], original: WrittenName): WrittenName {
  const last = currentNamings(namings).at(-1);
  return last === undefined ? original : last.name;
}

export interface DeviceNames {
  /** Those that have force. */
  readonly renames: readonly Naming[];
  /** From the additions: those that count, or, where none does, all. */
  readonly original: WrittenName;
}

/** The names of all devices, by their ids. Only entries that count give names. */
export function deviceNames(log: Log, standing: Standing): ReadonlyMap<string, DeviceNames> {
  const renames = new Map<string, Naming[]>();
  const given = new Map<string, { hash: EntryHash; counts: boolean; name: WrittenName }>();
  const give = (device: string, entry: Entry, name: WrittenName): void => {
    const offer = { hash: entry.hash, counts: standing.counts(entry), name };
    const best = given.get(device);
    if (best === undefined || isBetter(offer, best)) given.set(device, offer);
  };
  for (const entry of log.values()) {
    if (isKind(entry, 'genesis')) give(entry.author.id, entry, entry.body.name);
    else if (isKind(entry, 'add')) give(entry.body.device, entry, entry.body.name);
    else if (isKind(entry, 'rename') && standing.counts(entry)) {
      const { target, name, replaces } = entry.body;
      const naming = { hash: entry.hash, name, replaces };
      const list = renames.get(target);
      if (list === undefined) renames.set(target, [naming]);
      else list.push(naming);
    }
  }
  const names = new Map<string, DeviceNames>();
  for (const [device, offer] of given) {
    names.set(device, { renames: renames.get(device) ?? [], original: offer.name });
  }
  return names;
}

function isBetter(a: { hash: EntryHash; counts: boolean }, b: { hash: EntryHash; counts: boolean }): boolean {
  return a.counts === b.counts ? a.hash > b.hash : a.counts;
}
