import { describe, expect, it } from 'vitest';
import { MINUTE, Rig, SECOND } from './rig.ts';

describe('two devices that have never talked', () => {
  it('find their way to each other with nothing but their public keys', async () => {
    const rig = await Rig.make();
    await rig.startAll();
    const receipt = await rig.send(rig.laptop, rig.phone, 'hello phone');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['hello phone']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    const kinds = rig.kinds(rig.sent(rig.laptop, rig.phone));
    expect(kinds.slice(0, 2).sort()).toEqual(['greeting', 'request']);
  });

  it('find each other when only one of them has anything to say and the other comes days later', async () => {
    const rig = await Rig.make();
    await rig.start(rig.laptop);
    const receipt = await rig.send(rig.laptop, rig.phone, 'are you there');
    await rig.pass(60 * MINUTE);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['accepted']);
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['are you there']);
  });

  it('may both begin at the same moment', async () => {
    const rig = await Rig.make();
    await rig.startAll();
    await Promise.all([
      rig.send(rig.laptop, rig.phone, 'from the laptop'),
      rig.send(rig.phone, rig.laptop, 'from the phone'),
    ]);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['from the laptop']);
    expect(await rig.payloads(rig.laptop)).toEqual(['from the phone']);
    const since = rig.post.log.length;
    await rig.send(rig.laptop, rig.phone, 'and on');
    await rig.pass(5 * SECOND);
    // Both have heard the other: no message begins a session any more.
    expect(new Set(rig.kinds(rig.post.log.slice(since)))).toEqual(new Set(['sealed']));
    expect(await rig.payloads(rig.phone)).toEqual(['from the laptop', 'and on']);
  });

  it('leave each other five keys in reserve', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.pass(5 * SECOND);
    const laptop = await rig.laptop.pair(rig.phone);
    const phone = await rig.phone.pair(rig.laptop);
    expect(laptop.ourKeys.length).toBeGreaterThan(2);
    expect(laptop.ourKeys.length).toBeLessThanOrEqual(5);
    expect(phone.theirKeys.length).toBeGreaterThan(2);
    expect(laptop.theirKeys.length).toBeGreaterThan(2);
  });
});
