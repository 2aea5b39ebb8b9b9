import { describe, expect, it } from 'vitest';
import { MINUTE, Rig, SECOND } from './rig.ts';

describe('a device whose disk was put back to an older copy', () => {
  it('finds out from its peers, says so once, and goes on without loss or doubling', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, rig.phone, 'before the copy');
    await rig.pass(5 * SECOND);
    const image = rig.laptop.disk.image();
    await rig.send(rig.laptop, [rig.phone, rig.pi], 'after the copy');
    await rig.pass(5 * SECOND);
    rig.crash(rig.laptop);
    rig.laptop.disk.restore(image);
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, [rig.phone, rig.pi], 'after the return');
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['before the copy', 'after the copy', 'after the return']);
    expect(await rig.payloads(rig.pi)).toEqual(['after the copy', 'after the return']);
    expect(rig.laptop.incidents.filter(({ what }) => what === 'rolled-back')).toHaveLength(1);
    expect(rig.laptop.messenger.outbox()).toEqual([]);
    await rig.send(rig.phone, rig.laptop, 'welcome back');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.laptop)).toEqual(['welcome back']);
  });

  it('sends again what it had accepted and does not know to have arrived, and the peer takes it once', async () => {
    const rig = await Rig.met();
    rig.post.disconnect(rig.laptop.id);
    const receipt = await rig.send(rig.laptop, rig.phone, 'in both lives');
    const image = rig.laptop.disk.image();
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, rig.phone, 'in the first life');
    await rig.pass(5 * SECOND);
    rig.crash(rig.laptop);
    rig.laptop.disk.restore(image);
    await rig.start(rig.laptop);
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['in both lives', 'in the first life']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
  });

  it('gives up every ratchet and every key that it held', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.pass(5 * SECOND);
    const image = rig.laptop.disk.image();
    const before = (await rig.laptop.pair(rig.phone)).sessions.map(({ id }) => id);
    await rig.send(rig.laptop, rig.phone, 'two');
    await rig.pass(5 * SECOND);
    rig.crash(rig.laptop);
    rig.laptop.disk.restore(image);
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, rig.phone, 'three');
    await rig.pass(5 * MINUTE);
    const pair = await rig.laptop.pair(rig.phone);
    for (const id of before) {
      expect(pair.retired).toContain(id);
      expect(pair.sessions.map((session) => session.id)).not.toContain(id);
    }
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'two', 'three']);
  });

  it('says how many messages are gone where it had acknowledged what it no longer has', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.pass(5 * SECOND);
    const image = rig.phone.disk.image();
    await rig.send(rig.laptop, rig.phone, 'two');
    await rig.send(rig.laptop, rig.phone, 'three');
    await rig.pass(5 * SECOND);
    rig.crash(rig.phone);
    rig.phone.disk.restore(image);
    await rig.start(rig.phone);
    await rig.send(rig.laptop, rig.phone, 'four');
    await rig.pass(10 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'four']);
    expect(rig.phone.incidents).toContainEqual({ what: 'messages-lost', device: rig.laptop.id, count: 2 });
  });
});

describe('a device that runs twice', () => {
  it('is noticed by at least one of the two, and nobody takes two messages for one', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'from the one laptop');
    await rig.pass(5 * SECOND);
    await rig.stop(rig.laptop);
    const copy = rig.laptop.clone('a copied laptop');
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, rig.phone, 'from the laptop');
    await rig.pass(5 * SECOND);
    await rig.stop(rig.laptop);
    rig.devices.push(copy);
    await rig.start(copy);
    await rig.send(copy, rig.phone, 'from the copy');
    await rig.pass(5 * MINUTE);
    await rig.stop(copy);
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, rig.phone, 'from the laptop again');
    await rig.pass(5 * MINUTE);
    const arrived = await rig.payloads(rig.phone);
    expect(arrived).toEqual([
      'from the one laptop',
      'from the laptop',
      'from the copy',
      'from the laptop again',
    ]);
    const noticed = [...copy.incidents, ...rig.laptop.incidents].filter(({ what }) => what === 'rolled-back');
    expect(noticed.length).toBeGreaterThanOrEqual(2);
  });
});
