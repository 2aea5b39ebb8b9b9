/**
 * Named groups, as a function of the log. Creating, adding and renaming have force where the entry counts.
 * Taking away has force whoever of the ever-members did it, like a revocation: nothing is ever sent to a device
 * again because the one who had taken it out of a group was itself removed. A later addition repairs a wrong
 * removal, a new group a wrong deletion.
 */
import type { DeviceId } from '../device-id.ts';
import { type EntryHash, type GroupId, isKind, type Log, type WrittenName } from './entry.ts';
import { currentNamings, type Naming, settledName } from './names.ts';
import type { Standing } from './standing.ts';

export interface Group {
  readonly id: GroupId;
  readonly name: WrittenName;
  /** Members of the mesh only. */
  readonly members: ReadonlySet<DeviceId>;
  /** For each device in the group, a removed one too, the additions that keep it there: a removal names these. */
  readonly additions: ReadonlyMap<DeviceId, readonly EntryHash[]>;
  /** The namings that a new name replaces. */
  readonly namings: readonly EntryHash[];
}

interface Gathered {
  readonly original: WrittenName;
  readonly namings: Naming[];
  readonly additions: Map<DeviceId, EntryHash[]>;
}

/** The groups that exist, in the order of their ids. */
export function foldGroups(log: Log, standing: Standing): readonly Group[] {
  const gathered = new Map<GroupId, Gathered>();
  const deleted = new Set<GroupId>();
  const takenOut = new Set<string>();
  for (const entry of log.values()) {
    if (isKind(entry, 'group-delete')) deleted.add(entry.body.group);
    else if (isKind(entry, 'group-create') && standing.counts(entry)) {
      gathered.set(entry.hash, { original: entry.body.name, namings: [], additions: new Map() });
    } else if (isKind(entry, 'group-remove')) {
      for (const add of entry.body.adds) {
        for (const device of entry.body.devices) takenOut.add(pair(add, device));
      }
    }
  }
  for (const entry of log.values()) {
    if (isKind(entry, 'group-add') && standing.counts(entry)) {
      const group = gathered.get(entry.body.group);
      for (const device of entry.body.devices) {
        if (group === undefined || takenOut.has(pair(entry.hash, device))) continue;
        group.additions.set(device, [...(group.additions.get(device) ?? []), entry.hash].sort());
      }
    } else if (isKind(entry, 'group-rename') && standing.counts(entry)) {
      const { group, name, replaces } = entry.body;
      gathered.get(group)?.namings.push({ hash: entry.hash, name, replaces });
    }
  }
  return [...gathered]
    .filter(([id]) => !deleted.has(id))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, { original, namings, additions }]) => ({
      id,
      name: settledName(namings, original),
      members: new Set([...additions.keys()].filter((device) => standing.members.has(device)).sort()),
      additions,
      namings: currentNamings(namings).map((naming) => naming.hash),
    }));
}

function pair(add: EntryHash, device: DeviceId): string {
  return `${add}${device}`;
}
