import { describe, expect, it } from 'vitest';
import { type Admission, admit } from '../../../src/entities/roster/admission.ts';
import { answer, heads, missing, unknown, wanted } from '../../../src/entities/roster/anti-entropy.ts';
import {
  compose,
  confirmations,
  lastEntry,
  preview,
  revocation,
} from '../../../src/entities/roster/compose.ts';
import type { Content, Entry } from '../../../src/entities/roster/entry.ts';
import { decodeEntry, encodeContent, encodeEntry } from '../../../src/entities/roster/entry-codec.ts';
import { foundMembership, restoreMembership } from '../../../src/entities/roster/membership.ts';
import { POOL_MAX_ENTRIES } from '../../../src/entities/roster/pool.ts';
import {
  accomplice,
  actor,
  add,
  alice,
  follow,
  forge,
  found,
  gossip,
  must,
  names,
  phone,
  pi,
  Seat,
  sha256,
  sign,
  tablet,
  verify,
} from './cast.ts';

function pair(): { laptop: Seat; mobile: Seat } {
  const laptop = new Seat(alice, found(alice));
  return { laptop, mobile: laptop.invite(phone) };
}

const rename = { kind: 'rename', target: phone.id, name: pi.name, replaces: [] } as const;

function one(seat: Seat, entry: Entry): Admission | undefined {
  return seat.receive([entry]).outcomes[0];
}

const refused = (reason: string) => ({ outcome: 'refused', reason });

describe('admission', () => {
  it('takes the same entry once, whichever valid signature stands under it', () => {
    const { laptop, mobile } = pair();
    const entry = mobile.compose(rename);
    const { mesh, sequence, previous, body } = entry;
    const again = forge(phone, { mesh, sequence, previous, heads: entry.heads, body }, 7);
    expect(again.hash).toBe(entry.hash);
    expect(again.bytes).not.toEqual(entry.bytes);
    expect(one(laptop, entry)).toEqual({ outcome: 'admitted' });
    expect(one(laptop, again)).toEqual({ outcome: 'already' });
    expect(laptop.membership.roster.forks.size).toBe(0);
    expect(laptop.membership.log.get(entry.hash)?.bytes).toEqual(entry.bytes);
  });

  it('refuses a signature that is not the author’s, and takes the good copy afterwards', () => {
    const { laptop, mobile } = pair();
    const good = mobile.compose(rename);
    const spoilt: Entry = { ...good, signature: sign(pi, { label: 'entry v1', digest: new Uint8Array(32) }) };
    expect(one(laptop, spoilt)).toEqual(refused('entry-signature-invalid'));
    expect(one(laptop, good)).toEqual({ outcome: 'admitted' });
  });

  it('is not kept from a good copy by a spoilt one that came while the author was unknown', () => {
    const { laptop, mobile } = pair();
    const other = new Seat(phone, mobile.membership);
    const addition = laptop.add(pi);
    const box = new Seat(pi, laptop.membership);
    const good = box.write({ kind: 'leave' });
    const spoilt: Entry = { ...good, signature: new Uint8Array(64) };
    expect(other.receive([spoilt, good]).outcomes.map((o) => o.outcome)).toEqual(['pending', 'pending']);
    expect(one(other, addition)).toEqual({ outcome: 'admitted' });
    expect(other.holds(good)).toBe(true);
    expect(other.membership.pool.size).toBe(0);
    expect(names(other.membership)).not.toContain('the Pi');
  });

  it('refuses an ADD whose consent was given to another inviter, for another mesh or by another device', () => {
    const { laptop, mobile } = pair();
    const mesh = laptop.membership.mesh;
    const elsewhere = found(pi).mesh;
    const bodies = [
      add(mesh, alice, pi),
      add(elsewhere, phone, pi),
      { ...add(mesh, phone, pi), keys: tablet.keys, device: tablet.id },
      { ...add(mesh, phone, pi), transcript: new Uint8Array(32) },
    ];
    for (const body of bodies) {
      expect(one(laptop, mobile.compose(body))).toEqual(refused('entry-consent-invalid'));
    }
    expect(one(laptop, mobile.compose(add(mesh, phone, pi)))).toEqual({ outcome: 'admitted' });
  });

  it('refuses what is of another mesh, a second GENESIS among it', () => {
    const { laptop } = pair();
    const foreign = new Seat(phone, found(phone));
    expect(one(laptop, foreign.membership.genesis)).toEqual(refused('entry-wrong-mesh'));
    expect(one(laptop, foreign.write(rename))).toEqual(refused('entry-wrong-mesh'));
    expect(one(laptop, laptop.membership.genesis)).toEqual({ outcome: 'already' });
  });

  it('refuses a predecessor of another author, and a number that jumps', () => {
    const { laptop, mobile } = pair();
    const mine = mobile.compose(rename);
    laptop.receive([mine]);
    const { mesh, genesis } = laptop.membership;
    const content = { mesh, heads: [], body: rename };
    const foreign = forge(phone, { ...content, sequence: 2, previous: genesis.hash });
    const jump = forge(phone, { ...content, sequence: 3, previous: mine.hash });
    expect(one(laptop, foreign)).toEqual(refused('entry-chain-broken'));
    expect(one(laptop, jump)).toEqual(refused('entry-chain-broken'));
  });

  it('holds back what comes before its predecessor, and says what is missing', () => {
    const { laptop, mobile } = pair();
    const chain = [1, 2, 3].map(() => mobile.write(rename));
    const [first, middle, last] = chain;
    if (first === undefined || middle === undefined || last === undefined) throw new Error('too short');
    expect(one(laptop, last)).toEqual({ outcome: 'pending', missing: [middle.hash] });
    expect(one(laptop, middle)).toEqual({ outcome: 'pending', missing: [first.hash] });
    expect(wanted(laptop.membership)).toEqual([first.hash]);
    expect(laptop.receive([first]).admitted).toEqual(chain);
    expect(laptop.membership.pool.size).toBe(0);
  });

  it('never waits for what an entry says it has seen', () => {
    const { laptop } = pair();
    const { mesh } = laptop.membership;
    const unseen = found(pi).genesis.hash;
    const entry = forge(phone, { mesh, sequence: 1, previous: null, heads: [unseen], body: rename });
    expect(one(laptop, entry)).toEqual({ outcome: 'admitted' });
  });

  it('asks for the heads of an author that nobody has added yet', () => {
    const { laptop, mobile } = pair();
    const other = new Seat(phone, mobile.membership);
    const box = laptop.invite(pi);
    const entry = box.write(rename);
    const addition = laptop.membership.roster.heads.map((head) => head.hash);
    expect(one(other, entry)).toMatchObject({ outcome: 'pending', missing: addition });
    other.receive(answer(laptop.membership, wanted(other.membership)));
    expect(other.holds(entry)).toBe(true);
  });

  it('judges each entry by what stands before it in the same batch: a fork', () => {
    const { laptop, mobile } = pair();
    const base = mobile.compose(rename);
    const addition = follow(phone, base, add(laptop.membership.mesh, phone, pi));
    const fork = follow(phone, base, { kind: 'group-create', name: pi.name });
    const { mesh } = laptop.membership;
    const note = forge(pi, { mesh, sequence: 1, previous: null, heads: [], body: rename });
    const bare = new Seat(alice, laptop.membership, false);
    const outcomes = bare.receive([base, addition, fork, note]).outcomes.map((o) => o.outcome);
    expect(outcomes).toEqual(['admitted', 'admitted', 'admitted', 'refused']);
  });

  it('judges each entry by what stands before it in the same batch: a cut', () => {
    const { laptop, mobile } = pair();
    const { mesh } = laptop.membership;
    const addition = mobile.compose(add(mesh, phone, pi));
    const note = forge(pi, { mesh, sequence: 1, previous: null, heads: [], body: rename });
    const bare = new Seat(alice, laptop.membership, false);
    bare.write({ kind: 'revoke', target: phone.id, cut: addition.hash, reason: 'lost' });
    expect(wanted(bare.membership)).toEqual([addition.hash]);
    const outcomes = bare.receive([addition, note]).outcomes.map((o) => o.outcome);
    expect(outcomes).toEqual(['admitted', 'admitted']);
    expect(wanted(bare.membership)).toEqual([]);
  });

  it('judges each entry by what stands before it in the same batch: a cut whose entry adds nobody', () => {
    const { laptop, mobile } = pair();
    const { mesh } = laptop.membership;
    const addition = mobile.write(add(mesh, phone, pi));
    const last = mobile.compose(rename);
    const note = forge(pi, { mesh, sequence: 1, previous: null, heads: [], body: rename });
    const bare = new Seat(alice, laptop.membership, false);
    bare.receive([addition]);
    bare.write({ kind: 'revoke', target: phone.id, cut: last.hash, reason: 'lost' });
    expect(one(bare, note)).toEqual(refused('entry-not-covered'));
    expect(bare.receive([last, note]).outcomes.map((o) => o.outcome)).toEqual(['admitted', 'admitted']);
  });

  it('keeps, chains and passes on kinds that it does not know', () => {
    const { laptop, mobile } = pair();
    const strange = mobile.write({ kind: 'unknown', number: 4711, value: ['a', 1, null, { b: true }] });
    const after = mobile.write(rename);
    expect(laptop.receive([strange, after]).admitted).toEqual([strange, after]);
    expect(laptop.membership.roster.members.size).toBe(2);
    expect(missing(laptop.membership, [])).toContain(strange);
  });

  it('gives the same log back, the same object even, when a part of it is replayed', () => {
    const { laptop, mobile } = pair();
    laptop.receive([mobile.write(rename)]);
    const all = [...laptop.membership.log.values()];
    expect(admit({ hash: sha256, verify }, laptop.membership, all.reverse()).membership).toBe(
      laptop.membership,
    );
  });

  it('keeps at most so many entries that wait, and what falls out can be had again', () => {
    const { laptop } = pair();
    const { mesh } = laptop.membership;
    const base = forge(phone, { mesh, sequence: 1, previous: null, heads: [], body: rename });
    const flood: Entry[] = [];
    for (let i = 0; i < POOL_MAX_ENTRIES + 10; i++) {
      const previous = sha256(Uint8Array.of(i & 255, i >> 8));
      const hash = Buffer.from(previous).toString('hex') as Entry['hash'];
      flood.push(follow(phone, { ...base, hash, sequence: 1 }, rename));
    }
    laptop.receive(flood);
    expect(laptop.membership.pool.size).toBe(POOL_MAX_ENTRIES);
    expect(wanted(laptop.membership)).toHaveLength(256);
    expect(one(laptop, base)).toEqual({ outcome: 'admitted' });
  });
});

describe('a log', () => {
  it('begins with a GENESIS that its founder signed and whose mesh is the expected one', () => {
    const { genesis, mesh } = found(alice);
    const founded = (entry: Entry, expected = mesh) => foundMembership(sha256, verify, entry, expected);
    expect(must(founded(genesis)).mesh).toBe(mesh);
    expect(founded(genesis, found(phone).mesh)).toEqual({ refused: 'entry-wrong-mesh' });
    expect(founded({ ...genesis, signature: new Uint8Array(64) })).toEqual({
      refused: 'entry-signature-invalid',
    });
    expect(founded(pair().mobile.compose(rename))).toEqual({ refused: 'entry-not-genesis' });
  });

  it('is restored from what was kept, and not from less', () => {
    const { laptop, mobile } = pair();
    laptop.receive([mobile.write(rename), mobile.write(rename)]);
    laptop.write({ kind: 'revoke', target: phone.id, cut: found(pi).genesis.hash, reason: 'lost' });
    const kept = [...laptop.membership.log.values()].map((entry) => must(decodeEntry(sha256, entry.bytes)));
    const restored = must(restoreMembership(sha256, kept));
    expect(restored.roster.digest).toEqual(laptop.membership.roster.digest);
    expect([...restored.log.keys()]).toEqual([...laptop.membership.log.keys()]);
    expect(restored.covered).toEqual(laptop.membership.covered);
    expect(restoreMembership(sha256, [])).toEqual({ refused: 'log-empty' });
    expect(restoreMembership(sha256, kept.slice(1))).toEqual({ refused: 'log-empty' });
    expect(
      restoreMembership(
        sha256,
        kept.filter((_, i) => i !== 1),
      ),
    ).toEqual({ refused: 'log-incomplete' });
  });

  it('of equal digest is the same set, and another digest follows from any one entry more', () => {
    const { laptop, mobile } = pair();
    const before = mobile.membership.roster.digest;
    expect(laptop.membership.roster.digest).toEqual(before);
    const entry = laptop.write(rename);
    expect(laptop.membership.roster.digest).not.toEqual(before);
    mobile.receive([entry]);
    expect(mobile.membership.roster.digest).toEqual(laptop.membership.roster.digest);
  });
});

describe('anti-entropy', () => {
  it('sends exactly what the other lacks, in an order that admits', () => {
    const { laptop, mobile } = pair();
    const news = [laptop.add(pi), laptop.write(rename), laptop.revoke(tablet)];
    const sent = missing(laptop.membership, heads(mobile.membership));
    expect(sent.slice(0, 3)).toEqual(news);
    expect(mobile.receive(sent).outcomes.every((o) => o.outcome === 'admitted')).toBe(true);
    expect(missing(laptop.membership, heads(mobile.membership))).toEqual([]);
    expect(unknown(laptop.membership, heads(mobile.membership))).toHaveLength(1);
  });

  it('sends nothing of a chain in which the other is ahead', () => {
    const { laptop, mobile } = pair();
    laptop.receive([mobile.write(rename)]);
    mobile.write(rename);
    expect(missing(laptop.membership, heads(mobile.membership))).toEqual([]);
    expect(unknown(laptop.membership, heads(mobile.membership))).toHaveLength(1);
  });

  it('brings the branches of a fork together, however long they are', () => {
    const { laptop, mobile } = pair();
    const first = mobile.write(rename);
    const other = new Seat(alice, laptop.membership, false);
    const longer = new Seat(phone, mobile.membership, false);
    for (let i = 0; i < 150; i++) longer.write(rename);
    mobile.write({ ...rename, name: alice.name });
    for (let i = 0; i < 3; i++) mobile.write(rename);
    longer.tell(other);
    const third = new Seat(pi, must(restoreMembership(sha256, [...mobile.membership.log.values()])), false);
    gossip([other, third]);
    expect(third.membership.roster.digest).toEqual(other.membership.roster.digest);
    expect(other.membership.roster.forks.get(phone.id)?.sequence).toBe(first.sequence + 1);
  });

  it('answers for hashes that were asked for and ignores the rest', () => {
    const { laptop } = pair();
    const entry = laptop.write(rename);
    expect(answer(laptop.membership, [found(pi).genesis.hash])).toEqual([]);
    expect(answer(laptop.membership, [entry.hash]).at(-1)).toBe(entry);
  });
});

describe('composing', () => {
  it('goes on from the last entry and names what it has seen', () => {
    const { laptop, mobile } = pair();
    const entry = mobile.write(rename);
    expect(entry).toMatchObject({ sequence: 1, previous: null });
    expect(entry.heads).toEqual(laptop.membership.roster.frontier);
    const next = mobile.write(rename);
    expect(next).toMatchObject({ sequence: 2, previous: entry.hash, heads: [] });
    expect(lastEntry(mobile.membership, phone.id)).toBe(next);
  });

  it('confirms each revocation once, naming every head, and needs no second CONFIRM for its own', () => {
    const { laptop, mobile } = pair();
    const revoke = laptop.compose(revocation(laptop.membership, tablet.id, 'retired'));
    mobile.receive([revoke]);
    const confirm = lastEntry(mobile.membership, phone.id);
    expect(confirm?.body).toEqual({ kind: 'confirm', applied: [revoke.hash], heads: [revoke.hash] });
    expect(confirmations(mobile.membership, phone.id)).toEqual([]);
  });

  it('splits a CONFIRM that would name too many heads', () => {
    const { laptop } = pair();
    const bare = new Seat(alice, laptop.membership, false);
    const many = Array.from({ length: 600 }, (_, i) => actor(`device ${i}`));
    for (const device of many) bare.add(device);
    const { mesh } = bare.membership;
    bare.receive(many.map((d) => forge(d, { mesh, sequence: 1, previous: null, heads: [], body: rename })));
    const revoke = bare.revoke(tablet);
    const bodies = confirmations(bare.membership, alice.id);
    expect(bodies.map((body) => body.heads.length)).toEqual([512, 89]);
    expect(bodies.every((body) => body.applied.includes(revoke.hash))).toBe(true);
    for (const body of bodies) bare.write(body);
    expect(confirmations(bare.membership, alice.id)).toEqual([]);
  });

  it('shows beforehand whom a revocation would void', () => {
    const { laptop, mobile } = pair();
    const early = lastEntry(mobile.membership, phone.id)?.hash ?? null;
    laptop.receive([mobile.add(accomplice)]);
    const body = { kind: 'revoke', target: phone.id, cut: early, reason: 'lost' } as const;
    const roster = preview(sha256, laptop.membership, compose(sha256, laptop.membership, alice.id, body, 0));
    expect(roster.devices.get(accomplice.id)?.status).toBe('void');
    expect(laptop.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
  });
});

describe('decoding', () => {
  const content: Content = { ...found(alice).genesis };

  it('gives back what was encoded, and keeps the bytes', () => {
    const bytes = encodeEntry(encodeContent(content), new Uint8Array(64));
    const entry = must(decodeEntry(sha256, bytes));
    expect(entry.body).toEqual(content.body);
    expect(entry.bytes).toEqual(new Uint8Array(bytes));
    bytes.fill(0);
    expect(must(decodeEntry(sha256, entry.bytes)).hash).toBe(entry.hash);
  });

  it('answers any damage with one refusal or with another entry, never with an exception', () => {
    const { laptop, mobile } = pair();
    const whole = laptop.write(revocation(mobile.membership, phone.id, 'lost')).bytes;
    const refusals = new Set<string>();
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [1, 0x20, 0x80]) {
        const damaged = whole.slice();
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        const result = decodeEntry(sha256, damaged);
        if ('refused' in result) refusals.add(result.refused);
        else expect(one(laptop, result.ok)?.outcome).not.toBe('admitted');
      }
      expect(decodeEntry(sha256, whole.subarray(0, at))).toEqual({ refused: 'entry-malformed' });
    }
    expect(refusals).toContain('entry-malformed');
    expect(decodeEntry(sha256, new Uint8Array(40_000))).toEqual({ refused: 'entry-too-large' });
  });
});
