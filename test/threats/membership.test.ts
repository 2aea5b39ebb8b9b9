/** What devices that were removed, and a broker that shows each member something else, can do to the membership. */
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../usecases/messaging/rig.ts';
import type { RigDevice } from '../usecases/messaging/rig-device.ts';

const members = (device: RigDevice): string[] => [...device.messenger.log.membership().roster.members].sort();
const ids = (...devices: readonly RigDevice[]): string[] => devices.map(({ id }) => id).sort();

async function withStranger(devices: number): Promise<[rig: Rig, stranger: RigDevice]> {
  const rig = await Rig.met({ devices, strangers: 1 });
  const [stranger] = rig.strangers;
  if (stranger === undefined) throw new Error('one was asked for');
  return [rig, stranger];
}

describe('a newcomer whose inviter is removed before anybody else has heard of it', () => {
  it('is nobody to the others and is told nothing, until it is invited again', async () => {
    const [rig, tablet] = await withStranger(3);
    const { laptop, phone, pi } = rig;
    for (const other of [laptop, phone]) {
      rig.post.keepApart(pi.id, other.id);
      rig.post.keepApart(tablet.id, other.id);
    }
    await rig.add(pi, tablet);
    await rig.pass(SECOND);
    expect(members(tablet)).toContain(tablet.id);
    await rig.revoke(laptop, pi);
    await rig.pass(MINUTE);
    const since = rig.post.log.length;
    rig.post.reunite();
    // Whoever hands on what the inviter had written.
    const written = [...tablet.messenger.log.membership().log.values()].filter(
      ({ author }) => author.id === pi.id,
    );
    expect(written).not.toEqual([]);
    for (const device of [laptop, phone]) {
      for (const { outcome } of device.messenger.log.admit(written)) expect(outcome).toBe('refused');
    }
    await rig.send(tablet, phone, 'let me in');
    await rig.pass(HOUR);
    for (const device of [laptop, phone]) {
      expect(members(device)).toEqual(ids(laptop, phone));
      expect(rig.sent(device, tablet, since)).toEqual([]);
      expect(device.count('sender-unknown')).toBeGreaterThan(0);
    }
    expect(await rig.payloads(phone)).toEqual([]);
    await rig.stop(pi);
    await rig.add(laptop, tablet);
    await rig.pass(MINUTE);
    for (const device of [laptop, phone, tablet]) expect(members(device)).toEqual(ids(laptop, phone, tablet));
    await rig.send(tablet, phone, 'thanks');
    await rig.pass(10 * SECOND);
    expect(await rig.payloads(phone)).toContain('thanks');
  });
});

describe('a member that the broker lets see none of what the others write', () => {
  it('sends nothing more after a fortnight, to whomever, and catches up once something gets through', async () => {
    const rig = await Rig.met({ devices: 4 });
    const { laptop, phone, pi } = rig;
    const thief = rig.device(3);
    await rig.pass(HOUR);
    await rig.stop(thief);
    for (const other of [laptop, pi]) rig.post.keepApart(phone.id, other.id);
    await rig.revoke(laptop, thief);
    await rig.pass(15 * DAY);
    expect(members(phone)).toContain(thief.id);
    expect(phone.messenger.status().fresh).toBe(false);
    const since = rig.post.log.length;
    await rig.send(phone, thief, 'not for thieves');
    await rig.pass(HOUR);
    expect(rig.batches(rig.sent(phone, thief, since))).toEqual([]);
    rig.post.reunite();
    await rig.pass(12 * DAY);
    expect(members(phone)).toEqual(ids(laptop, phone, pi));
    expect(phone.messenger.status().fresh).toBe(true);
    expect(rig.batches(rig.sent(phone, thief, since))).toEqual([]);
  });
});
