/** What becomes of a removal between devices, one of which heard of it late, or from somebody who is out as well. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { lastEntry, revocation } from '../../../src/entities/roster/compose.ts';
import type { Body, Entry } from '../../../src/entities/roster/entry.ts';
import { hashContent } from '../../../src/entities/roster/entry.ts';
import { decodeEntry, encodeContent, encodeEntry } from '../../../src/entities/roster/entry-codec.ts';
import { entrySignable } from '../../../src/entities/roster/signing.ts';
import { DAY, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import type { RigDevice } from '../messaging/rig-device.ts';

const { hash } = nodePrimitives;

const standing = (device: RigDevice) => device.messenger.farewell.standing();
const statusAt = (device: RigDevice, other: RigDevice) =>
  device.messenger.log.membership().roster.devices.get(other.id)?.status;

function revoke(by: RigDevice, target: RigDevice): Entry {
  const { log } = by.messenger;
  return log.write(revocation(log.membership(), target.id, 'lost'));
}

/** An entry by `author` behind one of its chain, whatever else it has written there. */
function forge(author: RigDevice, previous: Entry | undefined, body: Body): Entry {
  const { mesh } = author.messenger.log.membership();
  const bytes = encodeContent({
    mesh,
    author: { kind: 'device', id: author.id },
    sequence: (previous?.sequence ?? 0) + 1,
    previous: previous?.hash ?? null,
    heads: [],
    body,
    createdAt: 0,
  });
  const signature = author.founder.account.sign(entrySignable(hashContent(hash, bytes)));
  const entry = decodeEntry(hash, encodeEntry(bytes, signature));
  if ('refused' in entry) throw new Error(`refused as ${entry.refused}`);
  return entry.ok;
}

/** Nothing passes between these two. */
function keepApart(rig: Rig, one: RigDevice, other: RigDevice): void {
  rig.post.fate = ({ from, to }) => {
    const apart = (from === one.id && to === other.id) || (from === other.id && to === one.id);
    return apart ? 'drop' : 'deliver';
  };
}

describe('what a device had taken before it was removed', () => {
  it('stays delivered after a restart, though another recipient has not answered yet', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.pi);
    const receipt = await rig.send(rig.laptop, [rig.phone, rig.pi], 'for both');
    await rig.pass(5 * SECOND);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered', 'published']);
    revoke(rig.laptop, rig.phone);
    await rig.pass(5 * SECOND);
    await rig.restart(rig.laptop);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered', 'published']);
  });
});

describe('a device that is told of its removal', () => {
  it('believes a member that has applied it, where it has itself removed the one who wrote it', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    rig.post.fate = ({ from, to }) => (from === pi.id || to === pi.id ? 'drop' : 'deliver');
    revoke(phone, pi);
    await rig.pass(5 * SECOND);
    revoke(pi, phone);
    await rig.pass(5 * SECOND);
    expect([statusAt(laptop, pi), statusAt(pi, phone)]).toEqual(['removed', 'removed']);
    rig.post.fate = () => 'deliver';
    await rig.send(pi, laptop, 'anybody there?');
    await rig.pass(MINUTE);
    expect(standing(pi)).toBe('removed');
  });

  it('is a member again where whoever said so is out, and nobody else has heard of it', async () => {
    const rig = await Rig.met({ devices: 4 });
    const { laptop, phone, pi } = rig;
    const tablet = rig.device(3);
    // The tablet is cut off from all but the Pi, and what it writes before has reached nobody.
    rig.post.fate = ({ from, to }) => (from === tablet.id || to === tablet.id ? 'drop' : 'deliver');
    tablet.messenger.log.write({ kind: 'rename', target: tablet.id, name: undefined, replaces: [] });
    revoke(tablet, pi);
    await rig.pass(5 * SECOND);
    rig.post.fate = ({ from, to }) => {
      const withTablet = from === tablet.id || to === tablet.id;
      return !withTablet || (from === tablet.id && to === pi.id) || from === pi.id ? 'deliver' : 'drop';
    };
    await rig.send(pi, tablet, 'anybody there?');
    await rig.pass(MINUTE);
    expect(standing(pi)).toBe('removed');
    revoke(laptop, tablet);
    await rig.pass(MINUTE);
    expect(statusAt(phone, pi)).toBe('member');
    expect(standing(pi)).toBe('member');
  });

  it('hears of it though it has nothing to say, and the one who removed it is out as well', async () => {
    const rig = await Rig.met({ devices: 4 });
    const { laptop, phone, pi } = rig;
    keepApart(rig, phone, pi);
    revoke(phone, pi);
    await rig.pass(SECOND);
    rig.post.fate = ({ from, to }) => (from !== pi.id && to === pi.id ? 'drop' : 'deliver');
    await rig.pass(30 * SECOND);
    revoke(laptop, phone);
    await rig.pass(30 * SECOND);
    rig.post.fate = () => 'deliver';
    expect(statusAt(laptop, pi)).toBe('removed');
    await rig.pass(DAY + 5 * MINUTE);
    expect(standing(pi)).toBe('removed');
  }, 60_000);
});

describe('a connection that stands for weeks without a word', () => {
  it('does not keep content back for long: whoever has grown stale asks', async () => {
    const rig = await Rig.met();
    const { laptop, phone } = rig;
    rig.clock.jump(15 * DAY);
    expect(laptop.messenger.status().fresh).toBe(false);
    const receipt = await rig.send(laptop, phone, 'after a fortnight');
    await rig.pass(11 * MINUTE);
    expect(await rig.states(laptop, receipt)).toEqual(['delivered']);
  });
});

describe('a device that is void by what only it was served', () => {
  it('confirms it, so that all come to hold it', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    const { log } = laptop.messenger.log.membership();
    const chain = [...log.values()].filter((entry) => entry.author.id === laptop.id);
    // The founder's second branch begins before it has added anybody.
    const branch = forge(laptop, chain[0], {
      kind: 'rename',
      target: laptop.id,
      name: undefined,
      replaces: [],
    });
    pi.messenger.log.admit([branch]);
    await rig.pass(MINUTE);
    expect(statusAt(pi, phone)).toBe('void');
    for (const device of [laptop, phone]) {
      expect(device.messenger.log.membership().log.has(branch.hash)).toBe(true);
      expect(statusAt(device, pi)).toBe('void');
    }
    expect(lastEntry(pi.messenger.log.membership(), pi.id)?.body.kind).toBe('confirm');
  });
});

describe('a device that was put back to an older state', () => {
  it('does not confirm anything before a member has shown what it holds of its chain', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    rig.crash(phone);
    const removal = revoke(laptop, pi);
    rig.post.fate = () => 'drop';
    await rig.start(phone);
    phone.messenger.log.admit([removal]);
    await rig.pass(5 * SECOND);
    expect(statusAt(phone, pi)).toBe('removed');
    expect(lastEntry(phone.messenger.log.membership(), phone.id)).toBeUndefined();
    rig.post.fate = () => 'deliver';
    await rig.pass(MINUTE);
    expect(lastEntry(phone.messenger.log.membership(), phone.id)?.body.kind).toBe('confirm');
  });

  it('waits for what it wrote only as long as a member says that it holds it', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    const elsewhere = forge(phone, undefined, { kind: 'leave' });
    const heads = [{ author: phone.id, sequence: 1, hash: elsewhere.hash }];
    phone.messenger.log.sawHeads(pi.id, heads);
    expect(phone.messenger.log.isBehind()).toBe(true);
    revoke(laptop, pi);
    await rig.pass(MINUTE);
    expect(phone.messenger.log.isBehind()).toBe(false);
    expect(statusAt(phone, pi)).toBe('removed');
    expect(lastEntry(laptop.messenger.log.membership(), phone.id)?.body.kind).toBe('confirm');
    phone.messenger.log.sawHeads(pi.id, heads);
    expect(phone.messenger.log.isBehind()).toBe(false);
  });
});
