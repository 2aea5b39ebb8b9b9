/**
 * P5 for admission: whatever was delivered to whom in which order, members that go on talking come to hold the
 * same entries. ROSTER_DELIVERIES=20000 sets how many random histories are tried.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { heads, missing } from '../../../src/entities/roster/anti-entropy.ts';
import { revocation } from '../../../src/entities/roster/compose.ts';
import type { Body, Entry, EntryHash } from '../../../src/entities/roster/entry.ts';
import { type Actor, actor, add, alice, forge, found, gossip, Seat } from './cast.ts';

const DELIVERIES = Number(process.env.ROSTER_DELIVERIES ?? 150);

const honest = [alice, ...['phone', 'pi', 'desk'].map(actor)];
const crooks = ['crook', 'crony', 'creep', 'crone'].map(actor);
const everybody = [...honest, ...crooks];

const step = fc.record({
  what: fc.constantFrom(
    'forge',
    'forge',
    'forge',
    'deliver',
    'deliver',
    'gossip',
    'revoke',
    'rename',
    'add',
    'leave',
  ),
  who: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
  to: fc.nat(3),
  kind: fc.constantFrom('add', 'add', 'revoke', 'revoke', 'confirm', 'rename'),
  target: fc.constantFrom(0, 1, 2, 3, 4, 5, 5, 6, 6, 7),
  at: fc.nat(30),
  mask: fc.nat(255),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface World {
  readonly seats: readonly Seat[];
  /** All that the crooks ever wrote, whoever has seen it. */
  readonly forged: Entry[];
  admittedByCover: number;
}

function begin(): World {
  const first = new Seat(alice, found(alice));
  const seats = [first, ...honest.slice(1).map((device) => first.invite(device))];
  const [crook] = crooks;
  if (crook !== undefined) first.add(crook);
  gossip(seats);
  return { seats, forged: [], admittedByCover: 0 };
}

const pick = <T>(list: readonly T[], i: number): T | undefined => list[i % Math.max(1, list.length)];

/** A crook goes on from any of its entries, or begins anew: it knows what everybody holds, and what nobody does. */
function forgery(world: World, { who, kind, target, at, mask }: Step): Entry | undefined {
  const crook = pick(crooks, who);
  const victim = pick(everybody, target);
  const mesh = world.seats[0]?.membership.mesh;
  if (crook === undefined || victim === undefined || mesh === undefined || victim === crook) return undefined;
  const own = world.forged.filter((entry) => entry.author.id === crook.id);
  const before = at < 20 ? own.at(-1) : at < 29 ? pick(own, mask) : undefined;
  const any = pick(world.forged, mask)?.hash;
  const entry = forge(crook, {
    mesh,
    sequence: (before?.sequence ?? 0) + 1,
    previous: before?.hash ?? null,
    heads: [],
    body: forgedBody(mesh, crook, victim, kind, any),
  });
  world.forged.push(entry);
  return entry;
}

function forgedBody(
  mesh: NonNullable<Entry['mesh']>,
  crook: Actor,
  victim: Actor,
  kind: Step['kind'],
  any: EntryHash | undefined,
): Body {
  switch (kind) {
    case 'add':
      return add(mesh, crook, victim);
    case 'revoke':
      return { kind, target: victim.id, cut: any ?? null, reason: 'lost' };
    case 'confirm':
      if (any !== undefined) return { kind, applied: [any], heads: [any] };
      break;
    case 'rename':
      break;
  }
  return { kind: 'rename', target: victim.id, name: victim.name, replaces: any === undefined ? [] : [any] };
}

function play(world: World, move: Step): void {
  const seat = pick(world.seats, move.who);
  const other = pick(world.seats, move.to);
  const victim = pick(everybody, move.target);
  if (seat === undefined || other === undefined || victim === undefined) return;
  const subset = <T>(list: readonly T[]): T[] => list.filter((_, i) => ((move.mask >> (i % 8)) & 1) === 1);
  switch (move.what) {
    case 'forge': {
      const entry = forgery(world, move);
      if (entry !== undefined && move.mask % 3 > 0) other.receive([entry]);
      return;
    }
    case 'deliver':
      hand(world, other, subset(world.forged).reverse());
      return;
    case 'gossip':
      hand(world, other, subset(missing(seat.membership, heads(other.membership))).reverse());
      return;
    case 'revoke':
      if (seat.isMember && victim !== seat.actor && move.mask % 2 === 0) {
        seat.write(revocation(seat.membership, victim.id, 'lost'));
      }
      return;
    case 'rename':
      if (seat.isMember) seat.write({ kind: 'rename', target: victim.id, name: victim.name, replaces: [] });
      return;
    case 'add':
      if (seat.isMember && victim !== seat.actor) seat.add(victim);
      return;
    case 'leave':
      if (seat.isMember && move.mask < 20) seat.write({ kind: 'leave' });
      return;
  }
}

function hand(world: World, to: Seat, entries: readonly Entry[]): void {
  const { members } = to.membership.roster;
  const { admitted } = to.receive(entries);
  world.admittedByCover += admitted.filter((entry) => !members.has(entry.author.id)).length;
}

/** A revoked device says what it knows once and then stops, or it stays in the talk for a while. */
function settle(seats: readonly Seat[], removedStay: boolean): void {
  if (removedStay) gossip(seats);
  for (let talking = seats.length + 1; talking > 0; ) {
    for (const seat of seats) if (!seat.isMember) for (const other of seats) seat.tell(other);
    const remaining = seats.filter((seat) => seat.isMember);
    gossip(remaining);
    const left = remaining.filter((seat) => seat.isMember).length;
    if (left === talking) return;
    talking = left;
  }
}

/**
 * Whom a member takes for a member has the same log. Devices that have revoked each other without a third that
 * heard both go separate ways, each with those who are on its side: to either, the other is a revoked device
 * that writes revocations.
 */
function expectAgreement(seats: readonly Seat[]): void {
  for (const seat of seats.filter((one) => one.isMember)) {
    for (const other of seats) {
      if (!seat.membership.roster.members.has(other.actor.id)) continue;
      expect(other.isMember).toBe(true);
      expect(other.membership.roster.members).toEqual(seat.membership.roster.members);
      expect([...other.membership.log.keys()].sort()).toEqual([...seat.membership.log.keys()].sort());
      expect(other.membership.roster.digest).toEqual(seat.membership.roster.digest);
    }
  }
}

describe('admission, over random deliveries', { timeout: 900_000 }, () => {
  it('comes to the same entries at all who take each other for members', () => {
    const seen = { parted: 0, remaining: 0, removed: 0, forks: 0, void: 0, byCover: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), (steps) => {
        const world = begin();
        for (const move of steps) play(world, move);
        settle(world.seats, steps.length % 2 === 0);
        const remaining = world.seats.filter((seat) => seat.isMember);
        const [first] = remaining;
        if (first === undefined) return;
        const { roster, log } = first.membership;
        expectAgreement(world.seats);
        // What the crooks still have up their sleeves brings nobody in and makes nobody differ for long.
        const again = [...world.forged];
        for (const seat of remaining) seat.receive(again.reverse());
        settle(world.seats, false);
        expectAgreement(world.seats);
        const others = remaining.filter((seat) => roster.members.has(seat.actor.id));
        seen.parted += remaining.length - others.length;
        seen.remaining += remaining.length;
        seen.byCover += world.admittedByCover;
        seen.forks += roster.forks.size;
        seen.removed += [...roster.devices.values()].filter((d) => d.status === 'removed').length;
        seen.void += [...roster.devices.values()].filter((d) => d.status === 'void').length;
        seen.refused += world.forged.filter((entry) => !log.has(entry.hash)).length;
      }),
      { numRuns: DELIVERIES },
    );
    if (process.env.ROSTER_FIGURES !== undefined) process.stdout.write(`${JSON.stringify(seen)}\n`);
    for (const [what, count] of Object.entries(seen))
      if (what !== 'parted') expect(count).toBeGreaterThan(DELIVERIES / 25);
  });

  it('admits a whole log that a member sends in its order at once', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }),
        fc.nat(3),
        (steps, index) => {
          const world = begin();
          for (const move of steps) play(world, move);
          const seat = pick(world.seats, index);
          if (seat === undefined || !seat.isMember) return;
          const copy = new Seat(actor('a newcomer'), found(alice), false);
          copy.receive([...seat.membership.log.values()]);
          expect(copy.membership.roster.digest).toEqual(seat.membership.roster.digest);
        },
      ),
      { numRuns: Math.ceil(DELIVERIES / 2) },
    );
  });
});
