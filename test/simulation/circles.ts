/**
 * What people do about groups, each at a device of theirs and as its program lets them; often several at once,
 * who do not know of each other. And whom they write to.
 */
import type { DeviceId } from '../../src/entities/device-id.ts';
import { type Circle, circleMembers, EVERYBODY } from '../../src/entities/roster/circle.ts';
import type { Group } from '../../src/entities/roster/groups.ts';
import type { Roster } from '../../src/entities/roster/roster.ts';
import type { SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';

/** How often people do what, beside all else that happens. */
export const ABOUT_GROUPS = {
  group: 1.6,
  put: 2,
  take: 2,
  takeAndPut: 1,
  contend: 1.5,
  call: 0.5,
  dissolve: 0.3,
} as const;

export type GroupDeed = keyof typeof ABOUT_GROUPS;

/** Of groups that one device sees. */
const ENOUGH = 4;

/** How often what is sent goes to whom. */
const ADDRESSED = { one: 62, each: 10, everybody: 14, group: 14 };

export function createCircles(stage: Stage, writers: () => readonly SimDevice[]) {
  const { seeded, records } = stage;

  function rosterAt(device: SimDevice): Roster {
    if (device.membership === undefined) throw new Error(`${device.name} does not run`);
    return device.membership.roster;
  }

  /** A name that nobody may see in the clear. */
  function newName(): string {
    const name = `circle of ${records.names.size}`;
    records.names.add(name);
    return name;
  }

  function some(devices: Iterable<DeviceId>, probability: number): DeviceId[] {
    return [...devices].filter(() => seeded.chance(probability));
  }

  function create(by: SimDevice): void {
    const { groups, members } = rosterAt(by);
    if (groups.length < ENOUGH) by.groups?.create(newName(), some(members, 0.6));
  }

  function put(by: SimDevice, { id }: Group, devices = some(rosterAt(by).members, 0.4)): void {
    by.groups?.add(id, devices);
  }

  /** The additions of removed devices can be taken out as well. */
  function take(by: SimDevice, { id, additions }: Group, devices = some(additions.keys(), 0.4)): void {
    by.groups?.remove(id, devices, seeded.chance(0.5));
  }

  const call = (by: SimDevice, { id }: Group): unknown => by.groups?.rename(id, newName());
  const dissolve = (by: SimDevice, { id }: Group): unknown => by.groups?.delete(id);

  /** Several devices at once, about the same group and the same of its members. */
  function contend(first: SimDevice, group: Group): void {
    const { members } = rosterAt(first);
    if (members.size === 0) return;
    const about = seeded.pick([...members]);
    for (const by of writers()) {
      if (by !== first && seeded.chance(0.4)) continue;
      const own = rosterAt(by).groups.find(({ id }) => id === group.id);
      if (own === undefined) continue;
      switch (seeded.weighted({ put: 5, take: 6, takeAndPut: 2, call: 1, dissolve: 0.3 })) {
        case 'put':
          put(by, own, [about]);
          break;
        case 'takeAndPut':
          takeAndPut(by, own, [about]);
          break;
        case 'call':
          call(by, own);
          break;
        case 'dissolve':
          dissolve(by, own);
          break;
        default:
          take(by, own, [about]);
      }
    }
  }

  function takeAndPut(by: SimDevice, group: Group, devices = some(group.members, 0.5)): void {
    take(by, group, devices);
    const left = rosterAt(by).groups.find(({ id }) => id === group.id);
    if (left !== undefined) put(by, left, devices);
  }

  return {
    do(deed: GroupDeed): void {
      const all = writers();
      if (all.length === 0) return;
      const by = seeded.pick(all);
      if (deed === 'group') return create(by);
      const { groups } = rosterAt(by);
      if (groups.length === 0) return;
      const group = seeded.pick(groups);
      stage.say(deed, by.name, group.id);
      if (deed === 'put') put(by, group);
      else if (deed === 'take') take(by, group);
      else if (deed === 'takeAndPut') takeAndPut(by, group);
      else if (deed === 'contend') contend(by, group);
      else if (deed === 'call') call(by, group);
      else dissolve(by, group);
    },

    /** By hand, because the person thinks that it is time. */
    rotate(device: SimDevice): void {
      const { messenger, membership } = device;
      if (messenger === undefined || membership === undefined) return;
      const circles: readonly Circle[] = [EVERYBODY, ...membership.roster.groups.map(({ id }) => id)];
      messenger.groups.rotate(seeded.pick(circles)).then(
        () => undefined,
        // The power may go before it is durable.
        () => undefined,
      );
    },

    /** Whom somebody at this device writes to; nobody, where it is alone. */
    addressees(device: SimDevice): readonly DeviceId[] | Circle | undefined {
      const { party } = device;
      const roster = rosterAt(device);
      const others = [...roster.members].filter((id) => id !== party.id);
      if (others.length === 0) return undefined;
      const groups = roster.groups.filter(({ members }) => [...members].some((id) => id !== party.id));
      const whom = seeded.weighted({ ...ADDRESSED, group: groups.length > 0 ? ADDRESSED.group : 0 });
      if (whom === 'everybody') return EVERYBODY;
      if (whom === 'group') return seeded.pick(groups).id;
      return whom === 'each' ? others : [seeded.pick(others)];
    },
  };
}

/** Those for whom something is, as a device sees them, but for itself. */
export function othersIn(
  { party }: SimDevice,
  roster: Pick<Roster, 'members' | 'groups'>,
  to: readonly DeviceId[] | Circle,
): Set<DeviceId> {
  const all = typeof to === 'string' ? circleMembers(roster, to) : to.filter((id) => roster.members.has(id));
  const others = new Set(all);
  others.delete(party.id);
  return others;
}

export type Circles = ReturnType<typeof createCircles>;
