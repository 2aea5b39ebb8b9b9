/**
 * What a person does about named groups. All of it is in the log, so every member comes to see the same groups. A
 * device may be in any number of them; whoever is a member of the mesh may change each.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import type { Result } from '../../entities/result.ts';
import {
  type EntryHash,
  GROUP_ADDS_MAX,
  GROUP_DEVICES_MAX,
  type GroupId,
  type GroupRemoveBody,
  REPLACES_MAX,
} from '../../entities/roster/entry.ts';
import type { Group } from '../../entities/roster/groups.ts';
import type { Roster } from '../../entities/roster/roster.ts';
import type { WriteRefusal } from './administer.ts';
import { type GroupNameRefusal, parseGroupName } from './find-group.ts';
import type { MeshLog } from './mesh-log.ts';

/** One of the devices that were named is not one for which this can be done. */
export interface WrongDevice<Reason extends string> {
  readonly refused: Reason;
  readonly device: DeviceId;
}

export type NamingRefusal = WriteRefusal | GroupNameRefusal | 'group-name-taken';

export interface Groups {
  /** With these devices and this one. Whoever knows that it may have done so before says `again`. */
  create(
    name: string,
    devices: readonly DeviceId[],
    again?: boolean,
  ): Result<GroupId, NamingRefusal> | WrongDevice<'device-not-member'>;
  /** Of those who are in it already nothing is written. */
  add(
    group: GroupId,
    devices: readonly DeviceId[],
  ): Result<GroupId, WriteRefusal | 'group-unknown'> | WrongDevice<'device-not-member'>;
  remove(
    group: GroupId,
    devices: readonly DeviceId[],
    again?: boolean,
  ): Result<GroupId, 'device-void' | 'group-unknown'> | WrongDevice<'device-not-in-group'>;
  rename(group: GroupId, name: string): Result<DeviceName, NamingRefusal | 'group-unknown'>;
  delete(group: GroupId): Result<GroupId, 'device-void' | 'group-unknown'>;
}

export interface GroupsParts {
  readonly self: DeviceId;
  readonly log: Pick<MeshLog, 'membership' | 'write' | 'isBehind'>;
}

export function createGroups({ self, log }: GroupsParts): Groups {
  const roster = (): Roster => log.membership().roster;
  const groupOf = (id: GroupId): Group | undefined => roster().groups.find((group) => group.id === id);

  const outside = (): 'device-void' | undefined => (roster().members.has(self) ? undefined : 'device-void');
  const hindered = (): WriteRefusal | undefined => (log.isBehind() ? 'device-behind' : outside());

  function stranger(devices: readonly DeviceId[]): WrongDevice<'device-not-member'> | undefined {
    const device = devices.find((id) => !roster().members.has(id));
    return device === undefined ? undefined : { refused: 'device-not-member', device };
  }

  function put(group: GroupId, devices: readonly DeviceId[]): void {
    const there = groupOf(group)?.members ?? new Set();
    const missing = [...new Set(devices)].filter((device) => !there.has(device));
    while (missing.length > 0) {
      log.write({ kind: 'group-add', group, devices: missing.splice(0, GROUP_DEVICES_MAX) });
    }
  }

  function named(name: DeviceName): readonly Group[] {
    return roster().groups.filter((group) => group.name === name);
  }

  function isOwn(group: Group): boolean {
    return log.membership().log.get(group.id)?.author.id === self;
  }

  return {
    create(text, devices, again = false) {
      const name = parseGroupName(text);
      if ('refused' in name) return name;
      const refused = hindered();
      if (refused !== undefined) return { refused };
      const wrong = stranger(devices);
      if (wrong !== undefined) return wrong;
      const taken = named(name.ok);
      const before = again ? taken.find(isOwn) : undefined;
      if (taken.length > 0 && before === undefined) return { refused: 'group-name-taken' };
      const group = before?.id ?? log.write({ kind: 'group-create', name: name.ok }).hash;
      put(group, [self, ...devices]);
      return { ok: group };
    },

    add(group, devices) {
      const refused = hindered();
      if (refused !== undefined) return { refused };
      if (groupOf(group) === undefined) return { refused: 'group-unknown' };
      const wrong = stranger(devices);
      if (wrong !== undefined) return wrong;
      put(group, devices);
      return { ok: group };
    },

    // Not even a device that is behind is kept from taking away, as from a revocation.
    remove(id, devices, again = false) {
      const refused = outside();
      if (refused !== undefined) return { refused };
      const group = groupOf(id);
      if (group === undefined) return { refused: 'group-unknown' };
      const absent = devices.find((device) => !group.additions.has(device));
      if (absent !== undefined && !again) return { refused: 'device-not-in-group', device: absent };
      for (const body of removals(group, devices)) log.write(body);
      return { ok: id };
    },

    rename(id, text) {
      const name = parseGroupName(text);
      if ('refused' in name) return name;
      const refused = hindered();
      if (refused !== undefined) return { refused };
      const group = groupOf(id);
      if (group === undefined) return { refused: 'group-unknown' };
      if (group.name === name.ok) return name;
      if (named(name.ok).length > 0) return { refused: 'group-name-taken' };
      const namings = [...group.namings];
      do {
        const replaces = namings.splice(0, REPLACES_MAX);
        log.write({ kind: 'group-rename', group: id, name: name.ok, replaces });
      } while (namings.length > 0);
      return name;
    },

    delete(group) {
      const refused = outside();
      if (refused !== undefined) return { refused };
      if (groupOf(group) === undefined) return { refused: 'group-unknown' };
      log.write({ kind: 'group-delete', group });
      return { ok: group };
    },
  };
}

/**
 * What takes these devices out, as far as this device has seen them added. An entry takes away every pair of its
 * devices and additions, which are all seen; so only its limits decide what goes into one.
 */
function removals({ id: group, additions }: Group, devices: readonly DeviceId[]): GroupRemoveBody[] {
  const bodies: GroupRemoveBody[] = [];
  let some = new Set<DeviceId>();
  let adds = new Set<EntryHash>();
  const close = (): void => {
    if (adds.size > 0) bodies.push({ kind: 'group-remove', group, devices: [...some], adds: [...adds] });
    some = new Set();
    adds = new Set();
  };
  for (const device of new Set(devices)) {
    for (const add of additions.get(device) ?? []) {
      const isFull = some.size === GROUP_DEVICES_MAX && !some.has(device);
      if (isFull || (adds.size === GROUP_ADDS_MAX && !adds.has(add))) close();
      some.add(device);
      adds.add(add);
    }
  }
  close();
  return bodies;
}
