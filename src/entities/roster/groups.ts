/**
 * Named groups, as a function of the log. Creating, adding and renaming have force where the entry counts.
 * Taking away has force whoever of the ever-members did it, like a revocation: nothing is ever sent to a device
 * again because the one who had taken it out of a group was itself removed. A later addition repairs a wrong
 * removal, a new group a wrong deletion.
 */
import type { DeviceId } from '../device-id.ts';
import {
  type EntryHash,
  type GroupId,
  type GroupRemoveBody,
  isKind,
  type Log,
  type WrittenName,
} from './entry.ts';
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

/** What an addition adds, as far as nobody took it out again. */
interface Addition {
  readonly group: GroupId;
  readonly devices: Set<DeviceId>;
}

/**
 * The groups that exist, in the order of their ids. Anybody who was ever a member can write entries that name much;
 * what they cost here is bounded by the devices that there are, and by what is in the log.
 */
export function foldGroups(log: Log, standing: Standing): readonly Group[] {
  const gathered = new Map<GroupId, Gathered>();
  const deleted = new Set<GroupId>();
  const additions = new Map<EntryHash, Addition>();
  for (const entry of log.values()) {
    if (isKind(entry, 'group-delete')) deleted.add(entry.body.group);
    else if (isKind(entry, 'group-create') && standing.counts(entry)) {
      gathered.set(entry.hash, { original: entry.body.name, namings: [], additions: new Map() });
    } else if (isKind(entry, 'group-add') && standing.counts(entry)) {
      const { group, devices } = entry.body;
      const known = devices.filter((device) => standing.everMembers.has(device));
      additions.set(entry.hash, { group, devices: new Set(known) });
    }
  }
  for (const entry of log.values()) {
    if (isKind(entry, 'group-remove')) takeOut(additions, entry.body);
    else if (isKind(entry, 'group-rename') && standing.counts(entry)) {
      const { group, name, replaces } = entry.body;
      gathered.get(group)?.namings.push({ hash: entry.hash, name, replaces });
    }
  }
  for (const [hash, { group, devices }] of [...additions].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const present = gathered.get(group)?.additions;
    for (const device of present === undefined ? [] : devices) {
      const before = present?.get(device);
      if (before === undefined) present?.set(device, [hash]);
      else before.push(hash);
    }
  }
  return [...gathered]
    .filter(([id]) => !deleted.has(id))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, { original, namings, additions: present }]) => ({
      id,
      name: settledName(namings, original),
      members: new Set([...present.keys()].filter((device) => standing.members.has(device)).sort()),
      additions: present,
      namings: currentNamings(namings).map((naming) => naming.hash),
    }));
}

/** Every pair of an addition and a device that the removal names. */
function takeOut(
  additions: ReadonlyMap<EntryHash, Addition>,
  { adds, devices }: Pick<GroupRemoveBody, 'adds' | 'devices'>,
): void {
  const named = new Set(devices);
  for (const add of adds) {
    const left = additions.get(add)?.devices;
    for (const device of left ?? []) if (named.has(device)) left?.delete(device);
  }
}
