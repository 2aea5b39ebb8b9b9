/** Histories that once broke a rule like ours, and those that the rules were made against. */
import { describe, expect, it } from 'vitest';
import { confirmationsOf, revocation } from '../../../src/entities/roster/compose.ts';
import type { Entry } from '../../../src/entities/roster/entry.ts';
import {
  accomplice,
  add,
  alice,
  follow,
  forge,
  found,
  gossip,
  names,
  phone,
  pi,
  Seat,
  second,
  tablet,
} from './cast.ts';

/** Alice's laptop has added the phone, the Pi and the tablet, and all four hold the same. */
function household(): { laptop: Seat; mobile: Seat; box: Seat; stolen: Seat } {
  const laptop = new Seat(alice, found(alice));
  const mobile = laptop.invite(phone);
  const box = laptop.invite(pi);
  const stolen = laptop.invite(tablet);
  gossip([laptop, mobile, box, stolen]);
  return { laptop, mobile, box, stolen };
}

const everybody = ["Alice's laptop", "Alice's phone", 'a stolen tablet', 'the Pi'];

function lastOf(seat: Seat): Entry {
  const own = [...seat.membership.log.values()].filter((entry) => entry.author.id === seat.actor.id);
  const last = own.at(-1);
  if (last === undefined) throw new Error('this device has written nothing');
  return last;
}

function outcome(seat: Seat, entry: Entry): string {
  const [first] = seat.receive([entry]).outcomes;
  if (first === undefined) throw new Error('no outcome');
  return first.outcome === 'refused' ? first.reason : first.outcome;
}

describe('a revocation', () => {
  it('removes the target everywhere and is confirmed by every remaining member', () => {
    const { laptop, mobile, box, stolen } = household();
    expect(names(mobile.membership)).toEqual(everybody);
    const revoke = laptop.revoke(tablet);
    expect(confirmationsOf(laptop.membership, revoke.hash).awaited).toHaveLength(2);
    gossip([laptop, mobile, box]);
    for (const seat of [laptop, mobile, box]) {
      expect(names(seat.membership)).toEqual(["Alice's laptop", "Alice's phone", 'the Pi']);
      expect(confirmationsOf(seat.membership, revoke.hash)).toMatchObject({ awaited: [] });
    }
    expect(stolen.isMember).toBe(true);
    stolen.receive([revoke]);
    expect(stolen.isMember).toBe(false);
  });

  it('of each other by two devices removes both', () => {
    const { laptop, mobile, box, stolen } = household();
    laptop.receive([mobile.revoke(tablet)]);
    box.receive([stolen.revoke(phone)]);
    gossip([laptop, box]);
    expect(names(laptop.membership)).toEqual(["Alice's laptop", 'the Pi']);
    expect(names(box.membership)).toEqual(names(laptop.membership));
    expect(box.membership.roster.digest).toEqual(laptop.membership.roster.digest);
  });

  it('in a ring removes everybody in the ring', () => {
    const { laptop, mobile, box, stolen } = household();
    mobile.revoke(pi);
    box.revoke(tablet);
    stolen.revoke(phone);
    gossip([laptop, mobile, box, stolen]);
    expect(names(laptop.membership)).toEqual(["Alice's laptop"]);
  });

  it('of a device that nobody has added yet keeps it out when it is added', () => {
    const { laptop, mobile } = household();
    const revoke = mobile.revoke(accomplice);
    laptop.add(accomplice);
    expect(names(laptop.membership)).toContain('an accomplice');
    laptop.receive([revoke]);
    expect(names(laptop.membership)).not.toContain('an accomplice');
  });

  it('is not undone by adding the same keys again', () => {
    const { laptop, mobile } = household();
    laptop.revoke(tablet);
    laptop.add(tablet);
    expect(laptop.membership.roster.devices.get(tablet.id)?.status).toBe('removed');
    gossip([laptop, mobile]);
    expect(names(mobile.membership)).not.toContain('a stolen tablet');
  });

  it('leaves those whom the target added before the cut, and voids those it adds later', () => {
    const { laptop, mobile, stolen } = household();
    const inside = stolen.add(accomplice);
    laptop.receive([inside]);
    laptop.revoke(tablet);
    const outside = stolen.add(second);
    mobile.receive([inside, outside]);
    expect(names(mobile.membership)).toContain('a second accomplice');
    gossip([laptop, mobile]);
    for (const seat of [laptop, mobile]) {
      expect(seat.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
      expect(seat.membership.roster.devices.get(second.id)?.status).toBe('void');
    }
  });

  it('of oneself is a LEAVE: those whom the leaver added stay', () => {
    const { laptop, mobile } = household();
    mobile.add(accomplice);
    const leave = mobile.write({ kind: 'leave' });
    gossip([laptop, mobile]);
    expect(confirmationsOf(laptop.membership, leave.hash).confirmed).toEqual([alice.id]);
    expect(laptop.membership.roster.devices.get(phone.id)?.status).toBe('left');
    expect(laptop.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
  });

  it('with a cut that names another device lets nothing of the target lie within', () => {
    const { laptop, mobile, stolen } = household();
    laptop.receive([stolen.add(accomplice)]);
    const foreign = lastOf(laptop).hash;
    laptop.write({ kind: 'revoke', target: tablet.id, cut: foreign, reason: 'lost' });
    gossip([laptop, mobile]);
    expect(mobile.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
  });
});

describe('histories that once broke a rule like ours', () => {
  it('a retired device that forks its own chain below its last number changes nothing', () => {
    const { laptop, mobile, box, stolen } = household();
    const first = stolen.write({ kind: 'group-create', name: tablet.name });
    const addition = stolen.add(accomplice);
    gossip([laptop, mobile, box, stolen]);
    laptop.revoke(tablet);
    gossip([laptop, mobile, box]);
    const eviction = follow(tablet, first, revocation(laptop.membership, phone.id, 'lost'));
    const backdated = follow(tablet, first, add(laptop.membership.mesh, tablet, second));
    const otherStart = forge(tablet, {
      mesh: laptop.membership.mesh,
      sequence: 1,
      previous: null,
      heads: [],
      body: { kind: 'leave' },
    });
    for (const seat of [laptop, mobile, box]) {
      const before = seat.membership.roster.digest;
      expect(outcome(seat, eviction)).toBe('entry-not-covered');
      expect(outcome(seat, backdated)).toBe('entry-not-covered');
      expect(outcome(seat, otherStart)).toBe('entry-not-covered');
      expect(outcome(seat, follow(tablet, addition, { kind: 'leave' }))).toBe('entry-not-covered');
      expect(seat.membership.roster.digest).toEqual(before);
      expect(seat.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
      expect(seat.membership.roster.forks.size).toBe(0);
    }
  });

  it('a void accomplice that writes for ever fills nobody and evicts nobody', () => {
    const { laptop, mobile, box, stolen } = household();
    laptop.revoke(tablet);
    const tainted = stolen.invite(accomplice);
    mobile.receive([...stolen.membership.log.values()]);
    gossip([laptop, mobile, box]);
    expect(box.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
    const sizes = [laptop, mobile, box].map((seat) => seat.membership.log.size);
    for (let i = 0; i < 50; i++) tainted.revoke(i % 2 === 0 ? phone : pi);
    tainted.add(second);
    for (const seat of [laptop, mobile, box]) tainted.tell(seat);
    gossip([laptop, mobile, box]);
    expect([laptop, mobile, box].map((seat) => seat.membership.log.size)).toEqual(sizes);
    expect([laptop, mobile, box].map((seat) => seat.membership.pool.size)).toEqual([0, 0, 0]);
    expect(names(box.membership)).toEqual(["Alice's laptop", "Alice's phone", 'the Pi']);
  });

  it('a void accomplice of a fork that nobody has revoked is kept out just the same', () => {
    const { laptop, mobile, box, stolen } = household();
    const base = stolen.write({ kind: 'group-create', name: tablet.name });
    const one = follow(tablet, base, add(laptop.membership.mesh, tablet, accomplice));
    const other = follow(tablet, base, { kind: 'group-create', name: tablet.name });
    laptop.receive([base, one, other]);
    gossip([laptop, mobile, box]);
    expect(box.membership.roster.forks.get(tablet.id)?.entries).toHaveLength(2);
    expect(box.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
    const { mesh } = laptop.membership;
    const body = revocation(laptop.membership, phone.id, 'lost');
    const eviction = forge(accomplice, { mesh, sequence: 1, previous: null, heads: [], body });
    for (const seat of [laptop, mobile, box]) expect(outcome(seat, eviction)).toBe('entry-not-covered');
  });

  it('an entry read by one member before its author was void by a fork, and by another after, is held by both', () => {
    const { laptop, mobile, stolen } = household();
    const base = stolen.write({ kind: 'group-create', name: tablet.name });
    const { mesh } = laptop.membership;
    const one = follow(tablet, base, add(mesh, tablet, accomplice));
    const renamed = { kind: 'rename', target: pi.id, name: pi.name, replaces: [] } as const;
    const note = forge(accomplice, { mesh, sequence: 1, previous: null, heads: [], body: renamed });
    const fork = follow(tablet, base, { ...renamed, target: phone.id });
    mobile.receive([base, one, note]);
    laptop.receive([base, one, fork]);
    expect(mobile.holds(note)).toBe(true);
    expect(outcome(laptop, note)).toBe('entry-not-covered');
    gossip([laptop, mobile]);
    expect(laptop.holds(note)).toBe(true);
    expect(laptop.membership.roster.digest).toEqual(mobile.membership.roster.digest);
  });

  it('two void devices that vouch for each other stay void', () => {
    const { laptop, mobile, stolen } = household();
    laptop.revoke(tablet);
    const one = stolen.invite(accomplice);
    const two = one.invite(second);
    two.add(accomplice);
    gossip([one, two, stolen]);
    mobile.receive([...two.membership.log.values()]);
    expect(names(mobile.membership)).toContain('an accomplice');
    gossip([laptop, mobile]);
    for (const seat of [laptop, mobile]) {
      expect(seat.holds(lastOf(two))).toBe(true);
      expect(seat.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
      expect(seat.membership.roster.devices.get(second.id)?.status).toBe('void');
    }
  });

  it('a cut that names an entry which arrives later lets it in, with what lies before it', () => {
    const { laptop, mobile, box, stolen } = household();
    const chain = [
      stolen.add(accomplice),
      stolen.write({ kind: 'group-create', name: tablet.name }),
      stolen.write({ kind: 'group-create', name: tablet.name }),
    ];
    const [first, middle, last] = chain;
    if (first === undefined || middle === undefined || last === undefined) throw new Error('too short');
    laptop.receive(chain);
    mobile.receive([first]);
    const revoke = laptop.revoke(tablet);
    const bare = new Seat(pi, box.membership, false);
    mobile.receive([revoke]);
    bare.receive([revoke]);
    expect(mobile.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
    expect(outcome(bare, middle)).toBe('entry-not-covered');
    expect(bare.receive([last]).outcomes).toEqual([{ outcome: 'pending', missing: [middle.hash] }]);
    expect(bare.receive([middle]).outcomes).toEqual([{ outcome: 'pending', missing: [first.hash] }]);
    expect(outcome(bare, first)).toBe('admitted');
    expect(bare.holds(last)).toBe(true);
    expect(bare.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
    gossip([laptop, mobile]);
    expect(mobile.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
    expect(mobile.membership.roster.digest).toEqual(laptop.membership.roster.digest);
  });

  it('a CONFIRM read by one member before and by another after its author was removed counts for both', () => {
    const { laptop, mobile, box, stolen } = household();
    const late = stolen.write({ kind: 'rename', target: tablet.id, name: tablet.name, replaces: [] });
    mobile.receive([late]);
    const revoke = laptop.revoke(tablet);
    mobile.receive([revoke]);
    const confirm = lastOf(mobile);
    expect(confirm.body.kind).toBe('confirm');
    box.receive([revoke, confirm]);
    expect(outcome(box, late)).toBe('admitted');
    const second = laptop.revoke(phone);
    expect(outcome(laptop, confirm)).toBe('entry-not-covered');
    expect(outcome(laptop, late)).toBe('entry-not-covered');
    box.receive([second]);
    gossip([laptop, box]);
    for (const seat of [laptop, box]) {
      expect(seat.holds(confirm)).toBe(true);
      expect(seat.holds(late)).toBe(true);
    }
    expect(laptop.membership.roster.digest).toEqual(box.membership.roster.digest);
  });

  it('a revoked device that hands a revocation to one member only is heard by all or by none', () => {
    const { laptop, mobile, box, stolen } = household();
    const eviction = stolen.revoke(phone);
    laptop.revoke(tablet);
    box.receive([eviction]);
    gossip([laptop, box]);
    for (const seat of [laptop, box]) {
      expect(seat.holds(eviction)).toBe(true);
      expect(names(seat.membership)).toEqual(["Alice's laptop", 'the Pi']);
    }
    expect(mobile.isMember).toBe(true);
  });

  it('a revocation handed to its target alone reaches the others with the target’s CONFIRM', () => {
    const { laptop, mobile, box, stolen } = household();
    const eviction = stolen.revoke(phone);
    laptop.revoke(tablet);
    gossip([laptop, box]);
    expect(outcome(box, eviction)).toBe('entry-not-covered');
    mobile.receive([eviction]);
    expect(mobile.isMember).toBe(false);
    mobile.tell(laptop);
    gossip([laptop, box]);
    for (const seat of [laptop, box]) expect(names(seat.membership)).toEqual(["Alice's laptop", 'the Pi']);
  });

  it('different forks served to different members are seen by all, and add nobody', () => {
    const { laptop, mobile, box, stolen } = household();
    const base = stolen.write({ kind: 'group-create', name: tablet.name });
    const mesh = laptop.membership.mesh;
    const one = follow(tablet, base, add(mesh, tablet, accomplice));
    const two = follow(tablet, base, add(mesh, tablet, second));
    laptop.receive([base, one]);
    mobile.receive([base, two]);
    expect(names(laptop.membership)).toContain('an accomplice');
    gossip([laptop, mobile, box]);
    for (const seat of [laptop, mobile, box]) {
      expect(names(seat.membership)).toEqual(everybody);
      expect(seat.membership.roster.forks.get(tablet.id)).toEqual({
        sequence: one.sequence,
        entries: [one.hash, two.hash].sort(),
      });
    }
  });

  it('a CONFIRM that lies lets in only what it named before its author was revoked', () => {
    const { laptop, mobile, box, stolen } = household();
    const base = stolen.write({ kind: 'group-create', name: tablet.name });
    const hidden = follow(tablet, base, revocation(laptop.membership, pi.id, 'lost'));
    const lie = stolen.write({ kind: 'confirm', applied: [base.hash], heads: [hidden.hash] });
    gossip([laptop, mobile, box, stolen]);
    laptop.revoke(tablet);
    gossip([laptop, mobile, box]);
    expect(laptop.holds(lie)).toBe(true);
    expect(outcome(laptop, follow(tablet, hidden, { kind: 'leave' }))).toBe('entry-not-covered');
    expect(outcome(laptop, hidden)).toBe('admitted');
    gossip([laptop, mobile]);
    expect(names(mobile.membership)).toEqual(["Alice's laptop", "Alice's phone"]);
  });

  it('a void device that a member adds again is a member, and what it wrote meanwhile is let in', () => {
    const { laptop, mobile, stolen } = household();
    laptop.revoke(tablet);
    const tainted = stolen.invite(accomplice);
    mobile.receive([...tainted.membership.log.values()]);
    gossip([laptop, mobile]);
    const note = tainted.write({ kind: 'rename', target: accomplice.id, name: pi.name, replaces: [] });
    expect(outcome(laptop, note)).toBe('entry-not-covered');
    laptop.add(accomplice);
    expect(outcome(laptop, note)).toBe('admitted');
    expect(laptop.membership.roster.devices.get(accomplice.id)).toMatchObject({
      status: 'member',
      addedBy: [alice.id],
      name: 'the Pi',
    });
  });

  it('a cut resolved by the very REVOKE it names is the one way in which a REVOKE brings a device back', () => {
    const { laptop, mobile, stolen } = household();
    const addition = stolen.add(accomplice);
    const last = stolen.revoke(second);
    const bare = new Seat(alice, laptop.membership, false);
    bare.receive([addition, last]);
    const revoke = bare.revoke(tablet);
    mobile.receive([addition, revoke]);
    expect(mobile.membership.roster.devices.get(accomplice.id)?.status).toBe('void');
    mobile.receive([last]);
    expect(mobile.membership.roster.devices.get(accomplice.id)?.status).toBe('member');
  });
});
