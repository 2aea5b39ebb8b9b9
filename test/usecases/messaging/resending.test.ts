import { describe, expect, it } from 'vitest';
import { DAY, MINUTE, Rig, SECOND, text } from './rig.ts';

describe('what was published', () => {
  it('is not published again merely because time passes: a month of silence costs some twenty greetings', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    for (let i = 0; i < 3; i++)
      await rig.send(rig.laptop, rig.phone, { payload: text(`m${i}`), ttl: 60 * DAY });
    await rig.pass(SECOND);
    const since = rig.post.log.length;
    await rig.pass(30 * DAY);
    const kinds = rig.kinds(rig.sent(rig.laptop, rig.phone, since));
    expect(new Set(kinds)).toEqual(new Set(['greeting']));
    expect(kinds.length).toBeGreaterThanOrEqual(15);
    expect(kinds.length).toBeLessThanOrEqual(25);
    await rig.start(rig.phone);
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['m0', 'm1', 'm2']);
    expect(rig.laptop.messenger.outbox()).toEqual([]);
  }, 60_000);

  it('is published again once a greeting was answered that came after it', async () => {
    const rig = await Rig.met();
    let dropped = 0;
    rig.post.fate = (packet) => {
      if (dropped > 0 || rig.batches([packet]).length === 0) return 'deliver';
      dropped++;
      return 'drop';
    };
    const receipt = await rig.send(rig.laptop, rig.phone, 'lost once');
    await rig.pass(9 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    expect(rig.batches(rig.sent(rig.laptop, rig.phone))).toHaveLength(1);
    await rig.pass(5 * SECOND);
    expect(dropped).toBe(1);
    expect(await rig.payloads(rig.phone)).toEqual(['lost once']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
  });

  it('is published again to a broker that has forgotten us, and not to one that has not', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    await rig.send(rig.laptop, rig.phone, 'kept');
    await rig.pass(SECOND);
    const count = (): number => rig.batches(rig.sent(rig.laptop, rig.phone)).length;
    expect(count()).toBe(1);
    rig.post.disconnect(rig.laptop.id);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(SECOND);
    expect(count()).toBe(1);
    rig.post.disconnect(rig.laptop.id);
    rig.post.forget(rig.phone.id);
    rig.post.connect(rig.laptop.id, false);
    await rig.pass(SECOND);
    expect(count()).toBe(2);
    await rig.start(rig.phone);
    await rig.pass(SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['kept']);
  });

  it('is encrypted anew when it goes out again, under the same id and number', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (rig.batches([packet]).length > 0 ? 'drop' : 'deliver');
    await rig.send(rig.laptop, rig.phone, 'again');
    await rig.pass(5 * MINUTE);
    const packets = rig.sent(rig.laptop, rig.phone).filter((packet) => rig.batches([packet]).length > 0);
    expect(packets.length).toBeGreaterThan(1);
    expect(new Set(packets.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).size).toBe(packets.length);
    expect(new Set(rig.batches(packets).map((batch) => JSON.stringify(batch.records))).size).toBe(1);
    expect(new Set(rig.batches(packets).map(({ first }) => first)).size).toBe(1);
  });

  it('never exceeds a hundred envelopes without an answer', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    for (let i = 0; i < 150; i++) await rig.send(rig.laptop, rig.phone, `${i}`);
    await rig.pass(SECOND);
    expect(rig.batches(rig.sent(rig.laptop, rig.phone))).toHaveLength(100);
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(Array.from({ length: 150 }, (_, i) => `${i}`));
  });

  it('leaves each of many senders its share of what a broker keeps', async () => {
    const rig = await Rig.make({ devices: 12 });
    await rig.start(rig.laptop);
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    await rig.stop(rig.phone);
    for (let i = 0; i < 100; i++) await rig.send(rig.laptop, rig.phone, `${i}`);
    await rig.pass(SECOND);
    expect(rig.batches(rig.sent(rig.laptop, rig.phone))).toHaveLength(Math.floor(800 / 11));
  });
});

describe('what does not arrive', () => {
  it('is asked for at once where something behind it arrived', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'first');
    await rig.pass(SECOND);
    let dropped = false;
    rig.post.fate = (packet) => {
      if (dropped || rig.batches([packet]).length === 0) return 'deliver';
      dropped = true;
      return 'drop';
    };
    await rig.send(rig.laptop, rig.phone, 'a');
    await rig.send(rig.laptop, rig.phone, 'b');
    await rig.pass(2 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['first', 'a', 'b']);
    expect(rig.phone.count('batch-gap')).toBe(1);
  });

  it('because the queue was full is counted, and comes again', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (rig.batches([packet]).length > 0 ? 'drop' : 'deliver');
    await rig.send(rig.laptop, rig.phone, 'in a flood');
    await rig.pass(10);
    const packet = rig.sent(rig.laptop, rig.phone).find((sent) => rig.batches([sent]).length > 0);
    if (packet === undefined) throw new Error('nothing was sent');
    rig.post.fate = () => 'deliver';
    for (let i = 0; i < 5000; i++) rig.post.hand(rig.phone.id, Uint8Array.of(1, 2, 3));
    rig.post.hand(rig.phone.id, packet.bytes);
    await rig.settle();
    expect(rig.phone.count('queue-overflow')).toBe(5000 - 4096 + 1);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    await rig.pass(30 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['in a flood']);
  });

  it('though it was announced ten minutes ago is reported, however many hellos come in between', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (rig.batches([packet]).length > 0 ? 'drop' : 'deliver');
    await rig.send(rig.laptop, rig.phone, 'withheld');
    await rig.pass(SECOND);
    for (let i = 0; i < 14; i++) {
      expect(rig.phone.incidents).toEqual(i < 10 ? [] : expect.anything());
      rig.post.disconnect(rig.phone.id);
      rig.post.connect(rig.phone.id, true);
      await rig.pass(MINUTE);
    }
    expect(rig.phone.incidents).toContainEqual({
      what: 'messages-withheld',
      device: rig.laptop.id,
      count: 1,
      since: expect.any(Number),
    });
  });

  it('is not called withheld where it came in time', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'here');
    await rig.pass(SECOND);
    rig.post.disconnect(rig.phone.id);
    rig.post.connect(rig.phone.id, true);
    await rig.pass(30 * MINUTE);
    expect(rig.phone.incidents).toEqual([]);
  });
});

describe('a crash', () => {
  it('loses nothing of what waited to be read', async () => {
    const rig = await Rig.met();
    for (let i = 0; i < 20; i++) {
      await rig.send(rig.laptop, rig.phone, `${i}`);
      if (i % 5 === 0) await rig.restart(rig.phone);
      if (i % 7 === 0) await rig.restart(rig.laptop);
    }
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    expect(rig.laptop.messenger.outbox()).toEqual([]);
  });
});
