/**
 * The rules of named groups once more, from their text and entry by entry: an addition counts unless a removal names
 * it and the device, or the group is deleted. Slow; see the oracle of the membership, whose verdict it builds on.
 */
import type { DeviceId } from '../../src/entities/device-id.ts';
import { type Entry, type EntryHash, type GroupId, isKind } from '../../src/entities/roster/entry.ts';
import type { Verdict } from '../entities/roster/oracle.ts';

export interface GroupVerdict {
  readonly id: GroupId;
  readonly name: string | undefined;
  readonly members: readonly DeviceId[];
}

export function groupsByRules(
  entries: readonly Entry[],
  verdict: Pick<Verdict, 'counted' | 'members'>,
): readonly GroupVerdict[] {
  const byHash = new Map(entries.map((entry) => [entry.hash, entry]));

  /** Whether one of an author's entries is an end of its chain, or lies before it. */
  function reaches(end: EntryHash | null, entry: Entry): boolean {
    let at = end;
    while (at !== null && at !== entry.hash) at = byHash.get(at)?.previous ?? null;
    return at !== null;
  }

  function counts(entry: Entry): boolean {
    const { author } = entry;
    if (!verdict.counted.includes(author.id)) return false;
    return entries.every((other) => {
      if (isKind(other, 'revoke') && other.body.target === author.id) return reaches(other.body.cut, entry);
      if (other.author.id !== author.id) return true;
      if (isKind(other, 'leave') && !reaches(other.hash, entry)) return false;
      // Nothing counts from where an author has written twice.
      const isTwice = entries.some(({ author: { id }, sequence, hash }) => {
        return id === author.id && sequence === other.sequence && hash !== other.hash;
      });
      return !isTwice || other.sequence > entry.sequence;
    });
  }

  function isTakenOut(add: Entry, device: DeviceId): boolean {
    return entries.some((entry) => {
      if (!isKind(entry, 'group-remove')) return false;
      return entry.body.adds.includes(add.hash) && entry.body.devices.includes(device);
    });
  }

  function membersOf(group: GroupId): DeviceId[] {
    return verdict.members.filter((device) =>
      entries.some((entry) => {
        if (!isKind(entry, 'group-add') || entry.body.group !== group) return false;
        return entry.body.devices.includes(device) && counts(entry) && !isTakenOut(entry, device);
      }),
    );
  }

  function nameOf(group: GroupId, original: string | undefined): string | undefined {
    const namings = entries
      .filter((entry) => isKind(entry, 'group-rename'))
      .filter((entry) => entry.body.group === group && counts(entry));
    const replaced = namings.flatMap(({ body }) => body.replaces);
    const last = namings
      .filter(({ hash }) => !replaced.includes(hash))
      .sort((a, b) => (a.hash < b.hash ? -1 : 1))
      .at(-1);
    return last === undefined ? original : last.body.name;
  }

  const deleted = entries.flatMap((entry) => (isKind(entry, 'group-delete') ? [entry.body.group] : []));
  return entries
    .filter((entry) => isKind(entry, 'group-create'))
    .filter((entry) => counts(entry) && !deleted.includes(entry.hash))
    .map(({ hash, body }) => ({ id: hash, name: nameOf(hash, body.name), members: membersOf(hash) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Whether a device can ever have been outside of a group where these entries are held: it was taken out, the group
 * was deleted, or one of those who made the group and put it there is not what it was.
 */
export function mayHaveBeenOutside(
  entries: readonly Entry[],
  group: string,
  device: DeviceId,
  hasFaltered: (author: DeviceId) => boolean,
): boolean {
  return entries.some((entry) => {
    if (isKind(entry, 'group-delete')) return entry.body.group === group;
    if (isKind(entry, 'group-create')) return entry.hash === group && hasFaltered(entry.author.id);
    if (isKind(entry, 'group-remove')) {
      return entry.body.group === group && entry.body.devices.includes(device);
    }
    if (!isKind(entry, 'group-add') || entry.body.group !== group) return false;
    return entry.body.devices.includes(device) && hasFaltered(entry.author.id);
  });
}
