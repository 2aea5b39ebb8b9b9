/** The membership log in running devices: how it spreads, and what it does to those whom it names. */
import { describe, expect, it } from 'vitest';
import { confirmationsOf, unconfirmed } from '../../../src/entities/roster/compose.ts';
import { isKind } from '../../../src/entities/roster/entry.ts';
import { encodeEnvelope } from '../../../src/entities/wire/envelope.ts';
import type { Clock } from '../../../src/usecases/ports/clock.ts';
import type { Packet } from './post.ts';
import { DAY, HOUR, MINUTE, Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const members = (device: RigDevice): string[] => [...device.messenger.log.membership().roster.members].sort();
const ids = (...devices: RigDevice[]): string[] => devices.map(({ id }) => id).sort();
const status = (at: RigDevice, of: RigDevice): string | undefined =>
  at.messenger.log.membership().roster.devices.get(of.id)?.status;

async function stranger(rig: Rig): Promise<RigDevice> {
  const [device] = rig.strangers;
  if (device === undefined) throw new Error('the rig was made without strangers');
  return device;
}

describe('a device that joins', () => {
  it('becomes known to all, and exchanges messages with each of them, without its inviter', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const tablet = await stranger(rig);
    await rig.stop(rig.pi);
    await rig.add(rig.phone, tablet);
    await rig.pass(5 * SECOND);
    await rig.stop(rig.phone);
    await rig.start(rig.pi);
    await rig.pass(2 * MINUTE);
    expect(members(rig.pi)).toEqual(ids(...rig.devices));
    await rig.send(tablet, rig.pi, 'hello from the new one');
    await rig.send(rig.pi, tablet, 'welcome');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.pi)).toEqual(['hello from the new one']);
    expect(await rig.payloads(tablet)).toEqual(['welcome']);
  });

  it('is known to all though every packet that said so was lost', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const tablet = await stranger(rig);
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    rig.post.keepApart(rig.laptop.id, rig.pi.id);
    await rig.add(rig.laptop, tablet);
    await rig.pass(2 * SECOND);
    expect(members(rig.pi)).toEqual(ids(rig.laptop, rig.phone, rig.pi));
    rig.post.reunite();
    await rig.pass(5 * MINUTE);
    for (const device of rig.devices) expect(members(device), device.name).toEqual(ids(...rig.devices));
  });

  it('is told to one device by another that heard of it, where the inviter cannot', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const tablet = await stranger(rig);
    rig.post.keepApart(rig.laptop.id, rig.pi.id);
    await rig.add(rig.laptop, tablet);
    await rig.stop(tablet);
    await rig.pass(5 * MINUTE);
    expect(members(rig.pi)).toEqual(ids(...rig.devices));
  });
});

describe('a revocation', () => {
  it('takes sessions, keys and what was queued, in one commit, and stays after a restart', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.pi);
    const receipt = await rig.send(rig.laptop, [rig.phone, rig.pi], 'to both');
    await rig.pass(SECOND);
    const before = rig.laptop.position;
    const burnt = (await rig.laptop.pair(rig.pi)).ourKeys;
    expect(burnt.length).toBeGreaterThan(0);
    await rig.revoke(rig.laptop, rig.pi);
    expect(rig.laptop.position - before).toBe(1);
    const ends = (await rig.laptop.messenger.delivery(receipt.id))?.to.find(
      (to) => to.deviceId === rig.pi.id,
    );
    expect(ends).toMatchObject({ state: 'failed', reason: 'revoked', mayHaveArrived: true });
    await expect(rig.laptop.pair(rig.pi)).rejects.toThrow('holds nothing');
    await rig.restart(rig.laptop);
    expect(status(rig.laptop, rig.pi)).toBe('removed');
    expect(rig.laptop.messenger.status().peers.map((peer) => peer.deviceId)).toEqual([rig.phone.id]);
    await rig.stop(rig.laptop);
    const kinds = await rig.laptop.withStore(async (keystore) => keystore.keys('ratchet').length);
    const held = await rig.laptop.withStore((keystore) => keystore.read('pair', rig.phone.id));
    expect(kinds).toBe(held?.sessions.length);
  });

  it('is confirmed by every member, and the removed device learns of it and stops', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(30 * SECOND);
    const membership = rig.laptop.messenger.log.membership();
    const revoke = [...membership.log.values()].find((entry) => isKind(entry, 'revoke'));
    if (revoke === undefined) throw new Error('nothing was revoked');
    expect(confirmationsOf(membership, revoke.hash).awaited).toEqual([]);
    expect(rig.pi.messenger.farewell.standing()).toBe('removed');
    const sent = await rig.pi.messenger.send({ to: [rig.phone.id], payload: new Uint8Array(1) });
    expect(sent).toEqual({ refused: 'unknown-recipient' });
  });

  it('reaches the removed device when it comes back later, and nothing it sends is taken', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.post.keepApart(rig.pi.id, rig.laptop.id);
    rig.post.keepApart(rig.pi.id, rig.phone.id);
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(MINUTE);
    await rig.send(rig.pi, [rig.laptop, rig.phone], 'I do not know yet');
    await rig.pass(SECOND);
    rig.post.reunite();
    await rig.pass(HOUR);
    expect(await rig.payloads(rig.laptop)).toEqual([]);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    expect(rig.laptop.count('sender-removed')).toBeGreaterThan(0);
    expect(rig.pi.messenger.farewell.standing()).toBe('removed');
  });

  it('is passed on by the removed device, where it was the only one that was told', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(SECOND);
    await rig.stop(rig.laptop);
    expect(rig.pi.messenger.farewell.standing()).toBe('removed');
    await rig.pass(10 * MINUTE);
    expect(status(rig.phone, rig.pi)).toBe('removed');
    expect(rig.pi.messenger.farewell.answered()).toContain(rig.phone.id);
  });

  it('and another one the other way leave both out, where each was heard first by somebody', async () => {
    const rig = await Rig.met({ devices: 4 });
    const { laptop, phone, pi } = rig;
    const tablet = rig.device(3);
    for (const a of [laptop, pi]) for (const b of [phone, tablet]) rig.post.keepApart(a.id, b.id);
    await rig.revoke(laptop, phone);
    await rig.revoke(phone, laptop);
    await rig.pass(MINUTE);
    rig.post.reunite();
    await rig.pass(HOUR);
    for (const device of [pi, tablet]) {
      expect(status(device, laptop)).toBe('removed');
      expect(status(device, phone)).toBe('removed');
      expect(members(device)).toEqual(ids(pi, tablet));
    }
  });

  it('makes void whom the removed device added behind its cut; it is heard no more until it is added again', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const tablet = await stranger(rig);
    rig.post.keepApart(rig.pi.id, rig.laptop.id);
    rig.post.keepApart(rig.pi.id, rig.phone.id);
    await rig.add(rig.pi, tablet);
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(SECOND);
    rig.post.reunite();
    await rig.pass(HOUR);
    expect(members(rig.laptop)).toEqual(ids(rig.laptop, rig.phone));
    expect(status(rig.laptop, tablet)).not.toBe('member');
    await rig.add(rig.phone, tablet);
    await rig.pass(10 * MINUTE);
    expect(members(rig.laptop)).toEqual(ids(rig.laptop, rig.phone, tablet));
    await rig.send(tablet, rig.laptop, 'now I may');
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.laptop)).toEqual(['now I may']);
  });
});

describe('a notice', () => {
  it('from a device that was removed stops nobody', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.post.keepApart(rig.pi.id, rig.laptop.id);
    rig.post.keepApart(rig.pi.id, rig.phone.id);
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(MINUTE);
    await rig.revoke(rig.pi, rig.phone);
    await rig.pass(MINUTE);
    rig.post.reunite();
    await rig.pass(HOUR);
    expect(rig.phone.messenger.farewell.standing()).toBe('member');
    expect(members(rig.laptop)).toEqual(ids(rig.laptop, rig.phone));
  });

  it('with a signature that is not of a member is nothing', async () => {
    const rig = await Rig.met({ devices: 2 });
    const packet = encodeEnvelope(
      { kind: 'notice', from: rig.laptop.id, serial: Date.now(), entries: [new Uint8Array(8)] },
      () => new Uint8Array(64),
    );
    rig.post.hand(rig.phone.id, packet);
    await rig.settle();
    expect(rig.phone.count('signature-wrong')).toBe(1);
    expect(rig.phone.messenger.farewell.standing()).toBe('member');
  });
});

describe('a device that leaves', () => {
  it('is told by somebody that it was heard', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.pi.messenger.log.write({ kind: 'leave' });
    await rig.pass(20 * SECOND);
    expect(rig.pi.messenger.farewell.answered().length).toBeGreaterThan(0);
    expect(status(rig.laptop, rig.pi)).toBe('left');
    expect(status(rig.phone, rig.pi)).toBe('left');
  });
});

describe('a device that is void for a while', () => {
  it('gets and sends, once it is a member again, what waited, and nobody is suspected meanwhile', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const { laptop, pi } = rig;
    const tablet = await stranger(rig);
    await rig.add(pi, tablet);
    await rig.pass(MINUTE);
    rig.post.keepApart(laptop.id, tablet.id);
    await rig.send(laptop, tablet, 'to the tablet');
    await rig.send(tablet, laptop, 'to the laptop');
    await rig.pass(5 * SECOND);
    laptop.messenger.log.write({ kind: 'revoke', target: pi.id, cut: null, reason: 'lost' });
    rig.post.reunite();
    await rig.pass(HOUR);
    expect(tablet.messenger.farewell.standing()).toBe('void');
    expect([...(await rig.payloads(laptop)), ...(await rig.payloads(tablet))]).toEqual([]);
    await rig.add(laptop, tablet);
    await rig.pass(HOUR);
    expect(await rig.payloads(laptop)).toEqual(['to the laptop']);
    expect(await rig.payloads(tablet)).toEqual(['to the tablet']);
    for (const device of [laptop, tablet]) expect(device.incidents, device.name).toEqual([]);
  });
});

describe('the last member that is left', () => {
  it('confirms that the other one has gone, though nobody is there to show what it knows', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.stop(rig.phone);
    rig.laptop.messenger.log.write({ kind: 'leave' });
    await rig.pass(5 * SECOND);
    await rig.start(rig.phone);
    await rig.pass(MINUTE);
    const membership = rig.phone.messenger.log.membership();
    expect([...membership.roster.members]).toEqual([rig.phone.id]);
    expect(unconfirmed(membership, rig.phone.id)).toEqual([]);
  });
});

describe('a device that has heard nothing fresh for a fortnight', () => {
  it('keeps its messages back until somebody has shown what it holds', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.stop(rig.phone);
    await rig.pass(15 * DAY);
    expect(rig.laptop.messenger.status().fresh).toBe(false);
    const since = rig.post.log.length;
    await rig.send(rig.laptop, rig.phone, 'late news');
    await rig.pass(10 * SECOND);
    expect(rig.batches(rig.sent(rig.laptop, rig.phone, since))).toEqual([]);
    await rig.start(rig.phone);
    await rig.pass(MINUTE);
    expect(rig.laptop.messenger.status().fresh).toBe(true);
    expect(await rig.payloads(rig.phone)).toEqual(['late news']);
  });

  it.each([
    ['back by a day and a half', -1.5 * DAY],
    ['forward by three weeks', 21 * DAY],
  ])('asks at once where it only seems so, because its clock was set %s', async (_, jump) => {
    const clocks = new Map<string, { offset: number }>();
    const rig = await Rig.met({
      devices: 2,
      clockOf: (name, clock): Clock => {
        const own = { offset: 0 };
        clocks.set(name, own);
        return {
          now: () => clock.now() + own.offset,
          elapsed: () => clock.elapsed(),
          after: (delay, call) => clock.after(delay, call),
        };
      },
    });
    await rig.pass(MINUTE);
    const own = clocks.get(rig.laptop.name);
    if (own === undefined) throw new Error('a device without a clock');
    own.offset = jump;
    expect(rig.laptop.messenger.status().fresh).toBe(false);
    await rig.send(rig.laptop, rig.phone, 'what time is it?');
    await rig.pass(2 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['what time is it?']);
  });

  it('is not made to take old news for fresh by a broker that holds a part of it back', async () => {
    const rig = await Rig.met({ devices: 2 });
    const { laptop, phone } = rig;
    const held: Packet[] = [];
    rig.post.fate = (packet) => {
      if (packet.from !== phone.id) return 'deliver';
      if (rig.items(packet).every(({ kind }) => kind !== 'entries')) return 'deliver';
      held.push(packet);
      return 'drop';
    };
    phone.messenger.log.write({ kind: 'rename', target: phone.id, name: undefined, replaces: [] });
    await rig.pass(MINUTE);
    // Its hello has said what it holds; now nothing comes any more, and after 13 days what the hello spoke of.
    rig.post.fate = (packet) => (packet.from === phone.id ? 'drop' : 'deliver');
    await rig.pass(13 * DAY);
    expect(laptop.messenger.status().fresh).toBe(true);
    for (const packet of held) rig.post.enqueue(packet);
    await rig.pass(SECOND);
    expect(laptop.messenger.log.membership().log.size).toBe(phone.messenger.log.membership().log.size);
    await rig.pass(2 * DAY);
    expect(laptop.messenger.status().fresh).toBe(false);
  });
});
