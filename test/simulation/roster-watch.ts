/**
 * What is promised about the membership, checked from outside: nobody joins unasked (P1), revoked is revoked (P4),
 * and rosters converge (P5). Who may be a member is decided here by what people and traitors were seen to do, and
 * once more by the rules as the oracle reads them.
 */

import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { pairingCode } from '../../src/entities/pairing/transcript.ts';
import { confirmationsOf } from '../../src/entities/roster/compose.ts';
import { type Entry, type EntryHash, isKind } from '../../src/entities/roster/entry.ts';
import type { Membership } from '../../src/entities/roster/membership.ts';
import type { Roster } from '../../src/entities/roster/roster.ts';
import { consentSignable } from '../../src/entities/roster/signing.ts';
import type { OwnStanding } from '../../src/usecases/messaging/farewell.ts';
import { judgeByRules } from '../entities/roster/oracle.ts';
import { groupsByRules } from './group-rules.ts';
import type { Pairing } from './pairings.ts';
import type { SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';

/** The oracle is slow; of the sets that come by on the way it sees one in so many, and all that are there at the end. */
const JUDGED = 6;
const DAY = 86_400_000;
/** What no newcomer may hear for whom the right code was typed. */
const NOT_ONCE_APPROVED: readonly string[] = [
  'invite-own',
  'already-in-mesh',
  'invite-used',
  'invite-wrong-code',
  'invite-declined',
  'pairing-version',
];

export function createRosterWatch(stage: Stage, fail: (problem: string) => void) {
  const { devices, records } = stage;
  const members = new Map<string, string>();
  const groups = new Map<string, string>();
  const judged = new Set<string>();
  const traced = new Set<EntryHash>();
  const lastSeen = new Map<SimDevice, Uint8Array>();
  /** What each device has durably applied. */
  const applied = new Map<SimDevice, Set<string>>();

  const everybody = (): SimDevice[] => [...devices, ...stage.stolen, ...stage.spares];

  const nameOf = (id: DeviceId): string => everybody().find((device) => device.party.id === id)?.name ?? id;

  /** Whether a device that Mallory's devices have added can be a member where this log is held. */
  function mayBeIn({ log }: Membership, id: DeviceId, asking: readonly DeviceId[] = []): boolean {
    if (records.asked.has(id)) return true;
    if (asking.includes(id)) return false;
    return records.additions.some(({ entry, device }) => {
      if (device !== id || !log.has(entry.hash)) return false;
      for (const [revocation, { target, held }] of records.revocations) {
        if (target === entry.author.id && log.has(revocation) && !held.has(entry.hash)) return false;
      }
      return mayBeIn({ log } as Membership, entry.author.id, [...asking, id]);
    });
  }

  function judge(name: string, { genesis, log, roster }: Membership): void {
    const verdict = judgeByRules(genesis, [...log.values()]);
    const said = {
      ever: [...roster.standing.everMembers.keys()].sort(),
      removed: [...roster.standing.removed].sort(),
      counted: [...roster.standing.counted].sort(),
      members: [...roster.members].sort(),
      judged: [...log.keys()].sort(),
    };
    if (JSON.stringify(said) !== JSON.stringify(verdict)) fail(`P5: ${name} does not follow the rules`);
    const due = JSON.stringify(groupsByRules([...log.values()], verdict));
    if (groupsOf(roster) !== due) fail(`groups, members: ${name} does not follow the rules`);
  }

  function look(device: SimDevice, membership: Membership, always: boolean): void {
    const { log, roster } = membership;
    const digest = toHex(roster.digest);
    for (const entry of log.values()) {
      checkAddition(device, membership, entry);
      if (records.pressed.has(entry.hash)) fail(`P1: ${device.name} has taken an ADD without consent`);
      if (!records.entries.has(entry.hash)) records.entries.set(entry.hash, entry);
    }
    checkAdmission(device, membership);
    const list = [...roster.members].sort().join(' ');
    const before = members.get(digest) ?? list;
    members.set(digest, list);
    if (before !== list) fail(`P5: ${device.name} sees other members in the same entries`);
    const seen = groupsOf(roster);
    if ((groups.get(digest) ?? seen) !== seen) {
      fail(`groups, members: ${device.name} sees other groups in the same entries`);
    }
    groups.set(digest, seen);
    if ((always || Number.parseInt(digest.slice(0, 4), 16) % JUDGED === 0) && !judged.has(digest)) {
      judged.add(digest);
      judge(device.name, membership);
    }
    for (const id of roster.members) {
      if (!mayBeIn(membership, id)) fail(`P1: ${device.name} takes ${nameOf(id)} for a member`);
    }
    for (const id of roster.forks.keys()) {
      const forked = devices.find((other) => other.party.id === id);
      if (forked !== undefined && !records.rolledBack.has(forked))
        fail(`${forked.name} has forked its own chain`);
    }
  }

  /** Every ADD has the consent of the device that it adds; one of a person's device has a person's code too. */
  function checkAddition(device: SimDevice, { mesh }: Membership, entry: Entry): void {
    if (traced.has(entry.hash) || !isKind(entry, 'add')) return;
    traced.add(entry.hash);
    const { hash } = nodePrimitives;
    const { device: added, keys, transcript, consent } = entry.body;
    const author = everybody().find(({ party }) => party.id === entry.author.id);
    if (author === undefined) return fail(`P1: ${device.name} holds an ADD by nobody`);
    const consented = consentSignable(hash, { mesh, transcript, inviter: author.party.keys, newcomer: keys });
    if (!device.engine.verify(keys.signing, consented, consent)) {
      fail(`P1: ${device.name} holds an ADD of ${nameOf(added)} by ${author.name} without its consent`);
    }
    if (records.vouched.has(entry.hash) || records.additions.some((known) => known.entry.hash === entry.hash))
      return;
    const code = pairingCode(hash, transcript);
    const typed = records.pairings.some((pairing) => {
      return pairing.inviter === author && pairing.newcomer.party.id === added && pairing.typed === code;
    });
    if (!typed) fail(`P1: ${author.name} has added ${nameOf(added)}, and its code was not typed there`);
  }

  /** How a pairing has ended is what both ends, and all others, hold of it. */
  async function judgePairing(pairing: Pairing): Promise<void> {
    const { inviter, newcomer, result, approved, called } = pairing;
    if (newcomer.stolen) return;
    const where = `P1: ${newcomer.name}, whom ${inviter.name} has invited,`;
    if (result === undefined) return fail(`${where} has not come to an end`);
    // Who has forgotten a part of it cannot hold to it.
    const forgot = [inviter, newcomer].some((device) => records.rolledBack.has(device));
    if ('ok' in result) return checkJoined(where, newcomer);
    if (forgot || inviter.stolen) return;
    if (approved && NOT_ONCE_APPROVED.includes(result.refused)) {
      fail(`${where} was let in, and is told ${result.refused}`);
    }
    const { id } = inviter.party;
    const isOut = devices.some(({ membership }) => membership?.roster.members.has(id) === false);
    if (approved && result.refused === 'pairing-failed' && !isOut)
      fail(`${where} was let in, and has failed`);
    if (called === 'in vain' && approved && !isOut) await checkInVain(where, pairing);
    if (called === undefined && stage.spares.includes(newcomer)) checkNotAdded(where, pairing);
  }

  function checkJoined(where: string, newcomer: SimDevice): void {
    if (!devices.includes(newcomer)) return;
    if (newcomer.messenger === undefined) return fail(`${where} has joined, and is in no mesh`);
    if (!newcomer.isMember || isAdrift(newcomer)) return;
    for (const other of devices) {
      if (!other.isMember || isAdrift(other)) continue;
      if (newcomer.membership?.roster.members.has(other.party.id) !== true) continue;
      if (other.membership?.roster.members.has(newcomer.party.id) === false)
        fail(`${where} has joined, and is no member at ${other.name}`);
    }
  }

  /** Who was let in is answered as long as the inviter keeps the invite; that is for a day at least. */
  async function checkInVain(where: string, { inviter, invite, expiresAt, latest }: Pairing): Promise<void> {
    const record = await inviter.invite(invite);
    const isKept = record?.state === 'approved' || record?.state === 'done';
    const isForgotten = record === undefined && latest > expiresAt + DAY;
    if (isKept || (record === undefined && !isForgotten)) fail(`${where} was let in, and is not answered`);
  }

  function checkNotAdded(where: string, { inviter, newcomer, typed }: Pairing): void {
    for (const device of devices) {
      const { log, roster } = device.membership ?? {};
      if (log === undefined || roster?.members.has(newcomer.party.id) !== true) continue;
      for (const entry of log.values()) {
        if (!isKind(entry, 'add') || entry.body.device !== newcomer.party.id) continue;
        if (entry.author.id !== inviter.party.id || typed === undefined) continue;
        if (pairingCode(nodePrimitives.hash, entry.body.transcript) !== typed) continue;
        fail(`${where} was turned away, and is a member at ${device.name}`);
      }
    }
  }

  /** Rule 6: what a removed device writes is taken only where something that is held names it, or what follows it. */
  function checkAdmission(device: SimDevice, { log }: Membership): void {
    const covered = new Set<string>();
    for (const { body } of log.values()) {
      const named = body.kind === 'confirm' ? body.heads : body.kind === 'revoke' ? [body.cut] : [];
      for (let at of named) {
        for (; at !== null && !covered.has(at); at = log.get(at)?.previous ?? null) covered.add(at);
      }
    }
    const removed = new Set<DeviceId>();
    for (const { hash, author, body } of log.values()) {
      if (removed.has(author.id) && author.id !== device.party.id && !covered.has(hash)) {
        fail(`P4: ${device.name} has taken what ${nameOf(author.id)} wrote, which it had removed`);
      }
      if (body.kind === 'revoke') removed.add(body.target);
      if (body.kind === 'leave') removed.add(author.id);
    }
  }

  function checkStanding(device: SimDevice): void {
    const standing = device.messenger?.farewell.standing();
    if (standing !== 'removed' && standing !== 'left') return;
    const { id } = device.party;
    for (const entry of records.entries.values()) {
      if (isKind(entry, 'revoke') && entry.body.target === id) return;
      if (isKind(entry, 'leave') && entry.author.id === id) return;
    }
    fail(`P4: ${device.name} takes itself for removed, and nobody has removed it`);
  }

  /** What one holds and another lacks. */
  function differences(): string[] {
    const logs = devices.flatMap(({ membership }) => (membership === undefined ? [] : [membership.log]));
    const all = new Map(logs.flatMap((log) => [...log]));
    return [...all.values()].flatMap((entry) => {
      const lacking = devices.filter(({ membership }) => membership?.log.has(entry.hash) === false);
      if (lacking.length === 0) return [];
      const { body } = entry;
      const about =
        body.kind === 'revoke' ? nameOf(body.target) : body.kind === 'add' ? nameOf(body.device) : '';
      const cut = body.kind === 'revoke' ? `cut ${body.cut?.slice(0, 6)}` : '';
      const named = body.kind === 'confirm' ? body.heads.map((head) => head.slice(0, 6)).join(' ') : '';
      const what = `${entry.hash.slice(0, 6)} ${nameOf(entry.author.id)} ${entry.sequence} ${body.kind} ${about} ${cut} ${named}`;
      const covered = lacking.filter(({ membership }) => membership?.covered.has(entry.hash));
      return `${what}: not at ${lacking.map(({ name }) => name).join(', ')}; covered at ${covered.map(({ name }) => name).join(', ')}`;
    });
  }

  /**
   * A stolen device that nobody has removed yet is a member, and what it signs stops another one, though it withholds
   * the entries before it and nobody can take it over. That ends when somebody removes the stolen one.
   */
  function isStoppedByThief(device: SimDevice, standing: OwnStanding): boolean {
    const { membership } = device;
    if (membership === undefined || standing !== 'removed') return false;
    const { members } = membership.roster;
    return members.has(device.party.id) && stage.stolen.some(({ party }) => members.has(party.id));
  }

  /**
   * Whoever added it had been removed, was stolen, or was put back to before that, and nobody had heard of it: the
   * others do not know its keys, so nobody can tell it. A person sees that it is in no list, and adds it again.
   */
  function isAdrift(device: SimDevice): boolean {
    const { membership } = device;
    const { id } = device.party;
    const addedBy = membership?.roster.devices.get(id)?.addedBy ?? [];
    const isStolen = (adder: DeviceId): boolean => stage.stolen.some(({ party }) => party.id === adder);
    const hasForgotten = (adder: DeviceId): boolean =>
      devices.some((other) => {
        const isAdder = other.party.id === adder && records.rolledBack.has(other);
        return isAdder && other.membership?.roster.devices.has(id) === false;
      });
    return devices.some((other) => {
      const theirs = other.membership?.roster;
      if (theirs === undefined || !other.isMember || theirs.devices.has(id)) return false;
      return addedBy.every((adder) => {
        return !theirs.members.has(adder) || isStolen(adder) || hasForgotten(adder);
      });
    });
  }

  return {
    isAdrift,
    judgePairing,

    check(always = false): void {
      for (const device of devices) {
        const { membership } = device;
        if (membership === undefined) continue;
        const known = applied.get(device) ?? new Set();
        applied.set(device, known);
        for (const hash of known) {
          if (!device.committed.entries.has(hash))
            fail(`P4: ${device.name} has lost a revocation that it had applied`);
          if (!membership.log.has(hash as never)) fail(`P4: ${device.name} has forgotten a revocation`);
        }
        for (const hash of device.committed.removals) known.add(hash);
        if (always || lastSeen.get(device) !== membership.roster.digest) look(device, membership, always);
        lastSeen.set(device, membership.roster.digest);
        checkStanding(device);
      }
    },

    /** The disk is older than what was checked on it. */
    restored(device: SimDevice): void {
      applied.delete(device);
      lastSeen.delete(device);
    },

    /** Who holds what, for whoever looks for the reason. */
    table(): string {
      const rows = devices.map((device) => {
        const { membership, messenger } = device;
        if (membership === undefined) return `${device.name}: does not run`;
        const statuses = [...membership.roster.devices.values()].map(
          ({ id, status }) => `${nameOf(id)}: ${status}`,
        );
        const digest = toHex(membership.roster.digest).slice(0, 8);
        const standing = messenger?.farewell.standing();
        const behind = messenger?.log.isBehind() === true ? ', behind' : '';
        const counts = JSON.stringify(messenger?.status().counts);
        return `${device.name} (${standing}${behind}) ${membership.log.size} ${digest}: ${statuses.join(', ')} ${counts}`;
      });
      return [...rows, ...differences()].join('\n');
    },

    /** Why the mesh has not come to rest; nothing once it has. */
    unrest(): string | undefined {
      for (const device of devices) {
        const { membership, messenger } = device;
        const standing = messenger?.farewell.standing();
        if (membership === undefined || standing === undefined || standing === 'void') continue;
        if (isAdrift(device) || isStoppedByThief(device, standing)) continue;
        for (const other of devices) {
          const theirs = other.membership;
          if (other === device || theirs === undefined || !other.isMember || isAdrift(other)) continue;
          // Parted for good, or on its way to be: what the other knows decides.
          if (!membership.roster.members.has(other.party.id)) continue;
          const takesForMember = theirs.roster.members.has(device.party.id);
          if (standing !== 'member') {
            if (takesForMember)
              return `${other.name} does not know that ${device.name} is no member any more`;
          } else if (!takesForMember && theirs.roster.standing.removed.has(device.party.id)) {
            return `${device.name} does not know that it was removed, and ${other.name} does`;
          } else if (toHex(membership.roster.digest) !== toHex(theirs.roster.digest)) {
            return `${device.name} and ${other.name} hold different entries`;
          }
        }
        if (standing !== 'member') continue;
        for (const { hash, body } of membership.log.values()) {
          if (body.kind !== 'revoke' && body.kind !== 'leave') continue;
          const { awaited } = confirmationsOf(membership, hash);
          // Whoever is out by its own lights confirms nothing more; whether that is known is asked above.
          const late = devices.find((other) => other.isMember && awaited.includes(other.party.id));
          if (late !== undefined)
            return `${late.name} has not confirmed a revocation that ${device.name} holds`;
        }
      }
      return undefined;
    },
  };
}

/** In the form in which the rules give them. */
function groupsOf({ groups }: Roster): string {
  return JSON.stringify(groups.map(({ id, name, members }) => ({ id, name, members: [...members].sort() })));
}

export type RosterWatch = ReturnType<typeof createRosterWatch>;
