/** Named groups, and the keys under which this device sends to them and to everybody. */
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import { type Circle, circleMembers, EVERYBODY } from '../../entities/roster/circle.ts';
import type { GroupId } from '../../entities/roster/entry.ts';
import { findGroup, groupTitle } from '../../usecases/membership/find-group.ts';
import { createGroups, type Groups } from '../../usecases/membership/groups.ts';
import type { JsonObject } from '../rpc/protocol.ts';
import type { MethodTable } from '../rpc/server.ts';
import { deviceNamed } from './devices.ts';
import { flag, text, texts } from './params.ts';
import type { ApiPorts } from './ports.ts';
import { caughtUp, HANDING_OVER } from './waiting.ts';

type GroupPorts = Pick<ApiPorts, 'self' | 'membership' | 'messenger' | 'clock' | 'online'>;

/** Throws `group-unknown` or `group-ambiguous`. */
export function circleNamed({ membership }: Pick<GroupPorts, 'membership'>, meant: string): Circle {
  const found = findGroup(membership().roster, meant);
  if ('ok' in found) return found.ok;
  if (found.refused === 'group-unknown') throw new MeshError('group-unknown', { text: meant });
  const names = found.candidates.map(({ id }) => `${id} (${groupTitle(membership(), id)})`);
  throw new MeshError('group-ambiguous', { text: meant, candidates: names.join(', ') });
}

export function groupMethods(ports: GroupPorts): MethodTable {
  const { self, membership, messenger } = ports;
  const groups = createGroups({ self, log: messenger.log });

  function describe(circle: Circle): JsonObject {
    const members = [...circleMembers(membership().roster, circle)].sort();
    const coverage = messenger.groups.coverage(circle);
    const keys = members.flatMap((id) => {
      const { ours, theirs } = coverage.get(id) ?? { ours: 'none', theirs: false };
      return id === self ? [] : [[id, { ours, theirs }] as const];
    });
    const group = groupTitle(membership(), circle);
    return { group, groupId: circle, members, keys: Object.fromEntries(keys) };
  }

  /** One that can be changed. */
  function groupNamed(meant: string): GroupId {
    const circle = circleNamed(ports, meant);
    if (circle === EVERYBODY) throw new MeshError('group-everybody');
    return circle;
  }

  /** As a caller that may have asked for it before sees a group that is no more, or is called otherwise now. */
  function groupStill(meant: string, again: boolean): GroupId | undefined {
    const found = findGroup(membership().roster, meant);
    return again && 'refused' in found && found.refused === 'group-unknown' ? undefined : groupNamed(meant);
  }

  const devicesNamed = (names: readonly string[]): ReadonlyMap<DeviceId, string> =>
    new Map(names.map((name) => [deviceNamed(ports, name).id, name]));

  /** Durable here, and on its way to the others. */
  async function spread(): Promise<void> {
    await messenger.settled();
    await messenger.handedOver(HANDING_OVER);
  }

  return {
    async 'group.list'() {
      const named = membership().roster.groups.map(({ id }) => describe(id));
      return [describe(EVERYBODY), ...named.sort((a, b) => (String(a.group) < String(b.group) ? -1 : 1))];
    },

    async 'group.create'(params) {
      const name = text(params, 'name');
      const wanted = texts(params, 'devices');
      const again = flag(params, 'again');
      await ports.online();
      const devices = devicesNamed(wanted);
      const made = groups.create(name, [...devices.keys()], again);
      if ('refused' in made) throw refusal(made, { name, devices });
      await spread();
      return describe(made.ok);
    },

    async 'group.add'(params) {
      const meant = text(params, 'group');
      const wanted = texts(params, 'devices');
      await ports.online();
      const group = groupNamed(meant);
      const devices = devicesNamed(wanted);
      const added = groups.add(group, [...devices.keys()]);
      if ('refused' in added) throw refusal(added, { group: meant, devices });
      await spread();
      return describe(group);
    },

    async 'group.remove'(params) {
      const meant = text(params, 'group');
      const wanted = texts(params, 'devices');
      const again = flag(params, 'again');
      await ports.online();
      await caughtUp(ports);
      const group = groupNamed(meant);
      const devices = devicesNamed(wanted);
      const removed = groups.remove(group, [...devices.keys()], again);
      if ('refused' in removed) throw refusal(removed, { group: meant, devices });
      await spread();
      return describe(group);
    },

    async 'group.rename'(params) {
      const meant = text(params, 'group');
      const name = text(params, 'name');
      const again = flag(params, 'again');
      await ports.online();
      const group = groupStill(meant, again) ?? groupNamed(name);
      const renamed = groups.rename(group, name);
      if ('refused' in renamed) throw refusal(renamed, { group: meant, name });
      await spread();
      return describe(group);
    },

    async 'group.delete'(params) {
      const meant = text(params, 'group');
      const again = flag(params, 'again');
      await ports.online();
      await caughtUp(ports);
      const group = groupStill(meant, again);
      if (group === undefined) return { group: meant, members: [] };
      const deleted = groups.delete(group);
      if ('refused' in deleted) throw refusal(deleted, { group: meant });
      await spread();
      return { group: groupTitle(membership(), group), groupId: group, members: [] };
    },

    async 'group.rotate'(params) {
      const meant = text(params, 'group');
      await ports.online();
      const circle = circleNamed(ports, meant);
      const rotated = await messenger.groups.rotate(circle);
      return { ...describe(circle), rotated };
    },
  };
}

type Refused = Extract<ReturnType<Groups[keyof Groups]>, { readonly refused: string }>;

interface Asked {
  readonly group?: string;
  readonly name?: string;
  /** As the caller named them. */
  readonly devices?: ReadonlyMap<DeviceId, string>;
}

function refusal(refused: Refused, { group = '', name = '', devices }: Asked): MeshError {
  switch (refused.refused) {
    case 'device-not-member':
    case 'device-not-in-group':
      return new MeshError(refused.refused, { text: devices?.get(refused.device) ?? refused.device, group });
    case 'group-unknown':
      return new MeshError('group-unknown', { text: group });
    case 'group-name-taken':
    case 'group-name-reserved':
      return new MeshError(refused.refused, { text: name });
    default:
      return new MeshError(refused.refused);
  }
}
