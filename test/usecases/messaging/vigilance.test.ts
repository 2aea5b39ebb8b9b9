/** A broker that holds back, or serves again, what it should not: told to the person with the device and the time. */
import { describe, expect, it } from 'vitest';
import { INBOX_BYTES } from '../../../src/usecases/messaging/inbox.ts';
import type { Packet } from './post.ts';
import { DAY, HOUR, MINUTE, Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const told = (device: RigDevice, what: string) => device.incidents.filter((one) => one.what === what);
const withheldSince = (at: RigDevice, of: RigDevice): number | undefined =>
  at.messenger.status().peers.find(({ deviceId }) => deviceId === of.id)?.withheldSince;

describe('a broker that holds back all that passes between two devices', () => {
  it('is reported at both within two days, with the other device and since when', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.pass(HOUR);
    const began = rig.clock.now();
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    await rig.send(rig.laptop, rig.phone, 'never seen');
    await rig.pass(2 * DAY);
    for (const [device, other] of [
      [rig.laptop, rig.phone],
      [rig.phone, rig.laptop],
    ] as const) {
      const [incident, ...more] = told(device, 'peer-withheld');
      expect(more).toEqual([]);
      expect(incident).toMatchObject({ device: other.id });
      const since = incident?.since ?? 0;
      expect(since).toBeGreaterThanOrEqual(began);
      expect(since).toBeLessThan(began + DAY + MINUTE);
    }
    expect(told(rig.pi, 'peer-withheld')).toEqual([]);
    await rig.pass(5 * DAY);
    expect(told(rig.laptop, 'peer-withheld')).toHaveLength(1);
    expect(withheldSince(rig.laptop, rig.phone)).toBeDefined();
  });

  it('is no longer reported once something passes, and loses nothing by it', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    await rig.send(rig.laptop, rig.phone, 'late');
    await rig.pass(3 * DAY);
    expect(withheldSince(rig.laptop, rig.phone)).toBeDefined();
    rig.post.reunite();
    await rig.pass(13 * DAY);
    expect(withheldSince(rig.laptop, rig.phone)).toBeUndefined();
    expect(await rig.payloads(rig.phone)).toEqual(['late']);
  });

  it('is not suspected where the other device is just off', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.pass(HOUR);
    await rig.stop(rig.phone);
    await rig.send(rig.laptop, rig.phone, 'waits');
    await rig.pass(7 * DAY);
    expect(told(rig.laptop, 'peer-withheld')).toEqual([]);
    await rig.start(rig.phone);
    await rig.pass(DAY);
    for (const device of rig.devices) expect(told(device, 'peer-withheld'), device.name).toEqual([]);
  });

  it('is not suspected by a device that was away itself, and whose queue the broker has forgotten', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.pass(HOUR);
    await rig.stop(rig.phone);
    await rig.pass(DAY + HOUR);
    rig.post.disconnect(rig.laptop.id);
    await rig.pass(DAY);
    await rig.start(rig.phone);
    await rig.pass(HOUR);
    await rig.stop(rig.phone);
    rig.post.forget(rig.laptop.id);
    rig.post.connect(rig.laptop.id, false);
    await rig.pass(3 * DAY);
    expect(told(rig.laptop, 'peer-withheld')).toEqual([]);
  });

  it('is not suspected because of an answer that comes late', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.pass(HOUR);
    await rig.stop(rig.phone);
    const late: Packet[] = [];
    rig.post.fate = (packet) => {
      if (packet.from !== rig.pi.id || packet.to !== rig.laptop.id) return 'deliver';
      late.push(packet);
      return 'drop';
    };
    rig.post.disconnect(rig.laptop.id);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(3 * HOUR);
    rig.post.fate = () => 'deliver';
    for (const packet of late) rig.post.enqueue(packet);
    await rig.pass(MINUTE);
    expect(told(rig.laptop, 'peer-withheld')).toEqual([]);
  });

  it('is not suspected because of a device that slept, and says later what was so before', async () => {
    let asleep = 0;
    let sleepsSince: number | undefined;
    const rig = await Rig.met({
      devices: 3,
      clockOf: (name, clock) => ({
        now: () => clock.now(),
        // It stands still while the device sleeps, as a steady clock may.
        elapsed: () =>
          name === "Alice's phone" ? (sleepsSince ?? clock.elapsed() - asleep) : clock.elapsed(),
        after: (delay, call) => clock.after(delay, call),
      }),
    });
    await rig.pass(MINUTE);
    const began = rig.clock.elapsed();
    sleepsSince = began;
    await rig.pass(5 * MINUTE);
    await rig.stop(rig.pi);
    await rig.send(rig.laptop, rig.pi, 'are you there?');
    await rig.pass(2 * HOUR);
    asleep = rig.clock.elapsed() - began;
    sleepsSince = undefined;
    // It is asked in the course of the day, and does not know that it has slept.
    await rig.pass(DAY + HOUR);
    expect(told(rig.laptop, 'peer-withheld')).toEqual([]);
  });
});

describe('messages that were announced and do not come', () => {
  const withheld = (device: RigDevice) => told(device, 'messages-withheld');

  it('are not called withheld by a device that has no room for them', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.send(rig.laptop, rig.phone, 'zero');
    await rig.pass(5 * SECOND);
    await rig.stop(rig.phone);
    for (let i = 0; i < 3; i++) await rig.send(rig.laptop, rig.phone, 'x'.repeat(200));
    await rig.pass(5 * SECOND);
    await rig.phone.withStore(async (keystore) => {
      const put = { from: rig.laptop.id, stream: new Uint8Array(16), receivedAt: 0, messages: [] };
      await keystore.commit([{ kind: 'inbox', key: `900.${INBOX_BYTES - 100}.0`, put }]);
    });
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    await rig.pass(30 * MINUTE);
    expect(told(rig.laptop, 'peer-inbox-full').length).toBeGreaterThan(0);
    expect(withheld(rig.phone)).toEqual([]);
  });

  it('are not called withheld where the broker has never taken them', async () => {
    const rig = await Rig.met({ devices: 2 });
    rig.post.outcome = ({ bytes }) => (bytes.length > 20_000 ? 'too-large' : 'taken');
    await rig.send(rig.laptop, rig.phone, { payload: new Uint8Array(40 * 1024) });
    await rig.pass(30 * MINUTE);
    await rig.restart(rig.phone);
    await rig.pass(30 * MINUTE);
    expect(withheld(rig.phone)).toEqual([]);
  });
});

describe('a broker that hands out again what it had handed out long before', () => {
  it('is reported with whose packets they are, since when, and how many', async () => {
    const rig = await Rig.met({ devices: 2 });
    const before = rig.post.log.length;
    for (let i = 0; i < 3; i++) {
      await rig.send(rig.laptop, rig.phone, `message ${i}`);
      await rig.pass(SECOND);
    }
    const packets = rig
      .sent(rig.laptop, rig.phone, before)
      .filter((packet) => rig.kinds([packet])[0] === 'sealed');
    expect(packets.length).toBeGreaterThanOrEqual(3);
    await rig.pass(HOUR);
    const now = rig.clock.now();
    for (const packet of packets) rig.post.hand(rig.phone.id, packet.bytes);
    await rig.pass(SECOND);
    const [first] = told(rig.phone, 'packets-replayed');
    expect(first).toMatchObject({ device: rig.laptop.id, count: 1 });
    expect(first?.since).toBeLessThan(now);
    await rig.pass(2 * HOUR);
    const counts = told(rig.phone, 'packets-replayed').map(({ count }) => count);
    expect(counts).toEqual([1, packets.length - 1]);
    expect(await rig.payloads(rig.phone)).toEqual(['message 0', 'message 1', 'message 2']);
  });

  it('is not suspected because of a packet that it did not know to have arrived', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.pass(HOUR);
    const before = rig.post.log.length;
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.pass(3 * MINUTE);
    rig.post.disconnect(rig.phone.id);
    await rig.pass(HOUR);
    rig.post.connect(rig.phone.id, true);
    for (const { bytes } of rig.sent(rig.laptop, rig.phone, before)) rig.post.hand(rig.phone.id, bytes);
    await rig.pass(HOUR);
    expect(told(rig.phone, 'packets-replayed')).toEqual([]);
    expect(await rig.payloads(rig.phone)).toEqual(['one']);
  });

  it('is not suspected because of a device that was put back and uses numbers again', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.send(rig.phone, rig.laptop, 'hi');
    await rig.pass(5 * SECOND);
    const image = rig.laptop.disk.image();
    for (let i = 0; i < 10; i++) {
      await rig.send(rig.laptop, rig.phone, `message ${i}`);
      await rig.pass(SECOND);
    }
    await rig.pass(20 * MINUTE);
    rig.crash(rig.laptop);
    rig.laptop.disk.restore(image);
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, rig.phone, 'after');
    await rig.pass(5 * MINUTE);
    expect(told(rig.phone, 'packets-replayed')).toEqual([]);
    expect((await rig.payloads(rig.phone)).at(-1)).toBe('after');
  });
});
