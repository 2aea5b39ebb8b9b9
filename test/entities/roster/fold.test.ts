/** ROSTER_HISTORIES=20000 sets how many random histories are tried. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uint32 } from '../../../src/entities/bytes.ts';
import type { Body, Content, Entry, EntryHash } from '../../../src/entities/roster/entry.ts';
import { foldRoster, type Roster } from '../../../src/entities/roster/roster.ts';
import { actor, add, alice, found, Seat, sha256 } from './cast.ts';
import { judgeByRules, type Verdict } from './oracle.ts';

const HISTORIES = Number(process.env.ROSTER_HISTORIES ?? 600);

const { mesh, genesis } = found(alice);
const people = [alice, ...['one', 'two', 'three', 'four', 'five'].map(actor)];
const person = (i: number) => people[i % people.length] ?? alice;
const hashOf = (i: number) => Buffer.from(sha256(uint32(i))).toString('hex') as EntryHash;
const additions = people.map((by) => people.map((device) => ({ ...add(mesh, by, device) })));

const step = fc.record({
  author: fc.constantFrom(0, 0, 1, 1, 2, 2, 3, 4, 5),
  /** Mostly the author's last entry; sometimes an earlier one, a foreign one, none, or one that is nowhere. */
  after: fc.oneof({ weight: 14, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 })),
  kind: fc.constantFrom('add', 'add', 'add', 'revoke', 'revoke', 'leave', 'rename', 'confirm'),
  target: fc.nat(5),
  cut: fc.nat(30),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Hashes are numbers here, so that a cut can name what comes later, or never. */
function entriesOf(steps: readonly Step[]): Entry[] {
  const entries: Entry[] = [];
  for (const [i, { author, after, kind, target, cut }] of steps.entries()) {
    const writer = person(author);
    const own = entries.filter((entry) => entry.author.id === writer.id);
    const start = writer === alice ? genesis : undefined;
    const last = own.at(-1) ?? start;
    const earlier = after > 10 ? entries[after - 11] : own.at(-1 - after);
    const before = after === 0 ? last : (earlier ?? start);
    const content: Content = {
      mesh,
      author: { kind: 'device', id: writer.id },
      sequence: (before?.sequence ?? 0) + (after === 20 ? 2 : 1),
      previous: before?.hash ?? null,
      heads: [],
      body: bodyOf(kind, author, target, cut, i),
      createdAt: i,
    };
    entries.push({ ...content, hash: hashOf(i), signature: new Uint8Array(64), bytes: new Uint8Array(0) });
  }
  return entries;
}

function bodyOf(kind: Step['kind'], author: number, target: number, cut: number, i: number): Body {
  const device = person(target).id;
  switch (kind) {
    case 'add':
      return additions[author]?.[target] ?? add(mesh, person(author), person(target));
    case 'revoke':
      if (author === target) return { kind: 'leave' };
      return {
        kind,
        target: device,
        cut: cut === 0 ? null : cut === 1 ? genesis.hash : hashOf(cut % (i + 6)),
        reason: 'lost',
      };
    case 'leave':
      return { kind };
    case 'rename':
      return { kind, target: device, name: person(cut).name, replaces: [hashOf(cut)] };
    case 'confirm':
      return { kind, applied: [hashOf(cut)], heads: [hashOf(target)] };
  }
}

function verdictOf(roster: Roster): Omit<Verdict, 'judged'> {
  const { everMembers, removed, counted, members } = roster.standing;
  return {
    ever: [...everMembers.keys()].sort(),
    removed: [...removed].sort(),
    counted: [...counted].sort(),
    members: [...members].sort(),
  };
}

const fold = (entries: readonly Entry[]) => foldRoster(sha256, genesis, entries);

/** Everything but functions. */
function plain({ standing, ...roster }: Roster): unknown {
  const { counts: _, everMembers, removed, left, counted, members, forks } = standing;
  const sets = [removed, left, counted, members].map((set) => [...set].sort());
  const { members: membersAgain, ...rest } = roster;
  return {
    ...rest,
    all: [...membersAgain].sort(),
    ever: [...everMembers.keys()].sort(),
    sets,
    forks: [...forks].sort(),
  };
}

/** The founder adds two devices first, so that most histories have authors. */
const beginning: readonly Step[] = [1, 2].map((target) => ({
  author: 0,
  after: 0,
  kind: 'add',
  target,
  cut: 0,
}));
const history = fc
  .array(step, { minLength: 4, maxLength: 24, size: 'max' })
  .map((steps) => entriesOf([...beginning, ...steps]));
const runs = { numRuns: HISTORIES };

describe('the roster, over random sets of entries', { timeout: 600_000 }, () => {
  it('is what a naive reading of the rules says', () => {
    const seen = { void: 0, removed: 0, members: 0, forks: 0 };
    fc.assert(
      fc.property(history, (entries) => {
        const roster = fold(entries);
        const { judged, ...expected } = judgeByRules(genesis, entries);
        expect(verdictOf(roster)).toEqual(expected);
        const ends = judged.filter((h) => !entries.some((e) => e.previous === h && judged.includes(e.hash)));
        expect(roster.heads.map((head) => head.hash)).toEqual(ends);
        seen.void += expected.ever.length - expected.counted.length;
        seen.removed += expected.removed.length;
        seen.members += expected.members.length;
        seen.forks += roster.forks.size;
      }),
      runs,
    );
    if (process.env.ROSTER_FIGURES !== undefined) process.stdout.write(`${JSON.stringify(seen)}\n`);
    // A generator that stops making interesting histories must not go unnoticed.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(HISTORIES / 10);
  });

  it('is the same in every order and for every repetition', () => {
    const shuffled = history.chain((entries) =>
      fc.tuple(
        fc.constant(entries),
        fc.shuffledSubarray([...entries, ...entries], { minLength: entries.length * 2 }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([entries, again]) => {
        expect(plain(fold(again))).toEqual(plain(fold(entries)));
      }),
      runs,
    );
  });

  it('gains no member by a REVOKE that no cut names', () => {
    fc.assert(
      fc.property(history, fc.nat(5), fc.nat(5), fc.nat(30), (entries, author, target, cut) => {
        const before = fold(entries);
        const writer = person(author);
        const last = before.heads.find((head) => head.author === writer.id);
        const body = bodyOf('revoke', author, target, cut, entries.length);
        const revoke: Entry = {
          mesh,
          author: { kind: 'device', id: writer.id },
          sequence: (last?.sequence ?? 0) + 1,
          previous: last?.hash ?? null,
          heads: [],
          body,
          createdAt: 0,
          hash: hashOf(999),
          signature: new Uint8Array(64),
          bytes: new Uint8Array(0),
        };
        const after = fold([...entries, revoke]);
        for (const member of after.members) expect(before.members.has(member)).toBe(true);
        if (before.devices.has(writer.id)) expect(after.members.has(person(target).id)).toBe(false);
      }),
      runs,
    );
  });

  it('loses nobody that it had removed, whatever is added', () => {
    fc.assert(
      fc.property(history, fc.nat(24), (entries, size) => {
        const part = fold(entries.slice(0, size));
        const whole = fold(entries);
        for (const id of part.standing.removed) expect(whole.members.has(id)).toBe(false);
        for (const id of part.standing.everMembers.keys()) expect(whole.devices.has(id)).toBe(true);
      }),
      runs,
    );
  });

  it('of different digest is another set, and of equal digest the same', () => {
    fc.assert(
      fc.property(history, fc.nat(23), (entries, index) => {
        const whole = judgeByRules(genesis, entries).judged.join();
        const rest = entries.filter((_, i) => i !== index);
        const same = judgeByRules(genesis, rest).judged.join() === whole;
        const digest = (list: readonly Entry[]) => Buffer.from(fold(list).digest).toString('hex');
        expect(digest(rest) === digest(entries)).toBe(same);
      }),
      { numRuns: Math.ceil(HISTORIES / 4) },
    );
  });
});

it('folds a thousand entries of fifty devices in less than 20 ms', () => {
  const seat = new Seat(alice, found(alice), false);
  const devices = Array.from({ length: 49 }, (_, i) => actor(`device ${i}`));
  const seats = devices.map((device) => seat.invite(device));
  const entries = new Map(seat.membership.log);
  for (const other of [seat, ...seats]) {
    const named = { kind: 'rename', target: other.actor.id, name: other.actor.name, replaces: [] } as const;
    for (let i = 0; i < 19; i++) {
      const entry = other.write(named);
      entries.set(entry.hash, entry);
    }
  }
  const list = [...entries.values()];
  expect(list).toHaveLength(1000);
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    expect(fold(list.toReversed()).mesh).toBeDefined();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const median = times[7] ?? Number.NaN;
  if (process.env.ROSTER_FIGURES !== undefined)
    process.stdout.write(`fold of 1,000: ${median.toFixed(2)} ms\n`);
  expect(times[0]).toBeLessThan(20);
});
