/** What people do about the membership, at devices that are theirs: each as the program lets them. */
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { EntryHash } from '../../src/entities/roster/entry.ts';
import { additionBody } from '../support/found-mesh.ts';
import type { Pairings } from './pairings.ts';
import type { SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';

const DAY = 86_400_000;
/** Below this, people stop taking their own devices out: there is to be a mesh to look at. */
const ENOUGH = 3;

/** How often people do what, beside all else that happens. */
export const PEOPLE = {
  join: 2,
  joinTwice: 0.6,
  joinTwo: 0.5,
  joinAndRevoke: 0.5,
  compare: 12,
  revoke: 1.3,
  revokeEachOther: 0.3,
  revokeInRing: 0.2,
  leave: 0.4,
  rename: 2,
  away: 0.8,
} as const;

export type Deed = keyof typeof PEOPLE;

export function createPeople(stage: Stage, pairings: Pairings) {
  const { seeded, devices, spares, stolen, records } = stage;

  /** A device that is known to everybody else for more than it knows itself would fork its own chain. */
  function isComplete(device: SimDevice): boolean {
    if (!records.rolledBack.has(device)) return true;
    for (const { author, hash } of records.entries.values()) {
      if (author.id === device.party.id && device.membership?.log.has(hash) !== true) return false;
    }
    return true;
  }

  function writers(): SimDevice[] {
    return devices.filter((device) => {
      const status = device.membership?.roster.devices.get(device.party.id)?.status;
      return device.isMember && status === 'member' && isComplete(device);
    });
  }

  /** The person at `inviter` has compared the code. Nothing of it is committed yet. */
  function add(inviter: SimDevice, newcomer: SimDevice): EntryHash | undefined {
    const { messenger, membership } = inviter;
    if (messenger === undefined || membership === undefined || messenger.log.isBehind()) return undefined;
    if (membership.roster.standing.removed.has(newcomer.party.id)) return undefined;
    const body = additionBody(membership, inviter.founder, newcomer.founder, seeded.bytes(32));
    const { hash } = messenger.log.write(body);
    records.asked.add(newcomer.party.id);
    records.vouched.add(hash);
    stage.say('add', inviter.name, newcomer.name);
    return hash;
  }

  /** A newcomer has what the inviter shows it once its ADD is durable. */
  async function welcome(inviter: SimDevice, newcomer: SimDevice, addition: EntryHash | undefined) {
    if (addition === undefined || !spares.includes(newcomer)) return;
    const { membership } = inviter;
    if (membership === undefined || !inviter.committed.entries.has(addition)) return;
    const log = new Map([...membership.log].filter(([hash]) => inviter.committed.entries.has(hash)));
    spares.splice(spares.indexOf(newcomer), 1);
    devices.push(newcomer);
    await newcomer.enter({ log });
    await stage.start(newcomer);
  }

  /** Half of the time everything is asked and answered as it is between two programs. */
  async function joinAt(inviters: readonly SimDevice[], newcomers: readonly SimDevice[]): Promise<void> {
    const [inviter] = inviters;
    if (inviter !== undefined && inviters.length === 1 && newcomers.length > 0 && seeded.chance(0.6)) {
      return pairings.invite(inviter, newcomers);
    }
    const added = inviters.flatMap((inviter) =>
      newcomers.map((newcomer) => ({ inviter, newcomer, addition: add(inviter, newcomer) })),
    );
    await stage.settle();
    for (const { inviter, newcomer, addition } of added) await welcome(inviter, newcomer, addition);
  }

  /** Those who are not members: new devices, and those of ours whose additions have lost their force. */
  function newcomers(count: number): SimDevice[] {
    const lost = devices.filter((device) => {
      return device.messenger?.farewell.standing() === 'void' && records.asked.has(device.party.id);
    });
    const all = [...spares, ...lost];
    return Array.from({ length: Math.min(count, all.length) }, () => {
      const [one] = all.splice(seeded.below(all.length), 1);
      if (one === undefined) throw new Error('counted wrong');
      return one;
    });
  }

  function some(count: number): SimDevice[] {
    const all = writers();
    return Array.from({ length: Math.min(count, all.length) }, () => {
      const [one] = all.splice(seeded.below(all.length), 1);
      if (one === undefined) throw new Error('counted wrong');
      return one;
    });
  }

  const mayLose = (count: number): boolean => writers().length - count >= ENOUGH;

  function revoke(by: SimDevice, target: DeviceId): void {
    const held = new Set<string>(by.membership?.log.keys());
    const done = by.administration?.revoke(target, seeded.pick(['lost', 'retired', 'other']));
    if (done === undefined || 'refused' in done) return;
    records.revocations.set(done.ok, { target, held });
    const entry = by.membership?.log.get(done.ok);
    if (entry !== undefined) records.entries.set(done.ok, entry);
    stage.say('revoke', by.name, target);
  }

  function revokeSomebody(by: SimDevice): void {
    const members = [...(by.membership?.roster.members ?? [])].filter((id) => id !== by.party.id);
    const bad = members.filter((id) => stolen.some((device) => device.party.id === id));
    const targets = bad.length > 0 && (seeded.chance(0.7) || !mayLose(1)) ? bad : mayLose(1) ? members : [];
    if (targets.length > 0) revoke(by, seeded.pick(targets));
  }

  function away(): void {
    for (const device of devices) {
      if (!device.running || seeded.chance(0.6)) continue;
      stage.crash(device);
    }
    stage.clock.jump((20 + seeded.below(80)) * DAY);
  }

  return {
    /** Those at which people can do something about the membership. */
    writers,

    async do(deed: Deed): Promise<void> {
      const [one, two, three] = some(3);
      if (one === undefined) return;
      switch (deed) {
        case 'join':
          return joinAt([one], newcomers(1));
        case 'joinTwice':
          return joinAt(two === undefined ? [one] : [one, two], newcomers(1));
        case 'joinTwo':
          return joinAt([one], newcomers(2));
        case 'joinAndRevoke': {
          if (two === undefined || !mayLose(1)) return;
          const [newcomer] = newcomers(1);
          if (newcomer === undefined) return;
          const early = seeded.chance(0.5);
          if (early) revoke(two, one.party.id);
          const joining = joinAt([one], [newcomer]);
          if (!early) revoke(two, seeded.chance(0.7) ? one.party.id : newcomer.party.id);
          return joining;
        }
        case 'compare':
          return pairings.attend();
        case 'revoke':
          return revokeSomebody(one);
        case 'revokeEachOther':
          if (two === undefined || !mayLose(2)) return;
          revoke(one, two.party.id);
          return revoke(two, one.party.id);
        case 'revokeInRing':
          if (two === undefined || three === undefined || !mayLose(3)) return;
          revoke(one, two.party.id);
          revoke(two, three.party.id);
          return revoke(three, one.party.id);
        case 'leave':
          if (mayLose(1)) one.administration?.leave();
          return;
        case 'rename': {
          const name = `renamed ${records.names.size} ${one.name}`.slice(0, 60);
          records.names.add(name);
          one.administration?.rename(name);
          return;
        }
        case 'away':
          return away();
      }
    },

    /** The person has understood who is not to be trusted, and takes them out at one device. */
    cleanUp(): void {
      const bad = stolen.map((device) => device.party.id);
      for (const id of bad) {
        const by = writers().find((device) => device.membership?.roster.members.has(id));
        if (by !== undefined) revoke(by, id);
      }
    },
  };
}

export type People = ReturnType<typeof createPeople>;
