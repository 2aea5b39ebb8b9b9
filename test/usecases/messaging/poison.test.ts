import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/entities/bytes.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import type { Clock } from '../../../src/usecases/ports/clock.ts';
import { MINUTE, Rig, SECOND, words } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const trap = (): never => {
  throw new MeshError('engine-trap');
};

/** Lets time pass and starts the device again whenever its program has ended; returns how often that was. */
async function survive(rig: Rig, device: RigDevice, minutes: number): Promise<number> {
  device.mayEnd = true;
  let ends = 0;
  for (let i = 0; i < minutes * 60; i++) {
    await rig.pass(SECOND);
    if (device.fatal === undefined) continue;
    ends++;
    await rig.restart(device);
  }
  return ends;
}

describe('something that brings the program down', () => {
  it('is a packet: it ends the process twice, and is then put aside while the rest goes on', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (rig.batches([packet]).length > 0 ? 'drop' : 'deliver');
    await rig.send(rig.laptop, rig.phone, 'poisonous packet');
    await rig.pass(10);
    const packet = rig.sent(rig.laptop, rig.phone).find((sent) => rig.batches([sent]).length > 0);
    if (packet === undefined) throw new Error('nothing was sent');
    rig.post.fate = () => 'deliver';
    const envelope = rig.envelope(packet);
    const poison = 'body' in envelope ? toHex(envelope.body) : '';
    rig.phone.engine.beforeDecrypt = (_, message) => (toHex(message.body) === poison ? trap() : undefined);
    rig.phone.mayEnd = true;
    for (let i = 0; i < 2; i++) {
      const inbox = await rig.payloads(rig.phone);
      rig.post.hand(rig.phone.id, packet.bytes);
      await rig.settle();
      expect(rig.phone.fatal).toMatchObject({ code: 'engine-trap' });
      expect(inbox).toEqual([]);
      await rig.restart(rig.phone);
    }
    rig.post.hand(rig.phone.id, packet.bytes);
    await rig.settle();
    expect(rig.phone.fatal).toBeUndefined();
    expect(rig.phone.count('quarantined')).toBe(1);
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['poisonous packet']);
    await rig.stop(rig.phone);
    const kept = await rig.phone.withStore(async (store) => {
      const records = await Promise.all(store.keys('poison').map((key) => store.read('poison', key)));
      return records.filter((record) => record?.packet !== null && record?.packet !== undefined);
    });
    expect(kept.some((record) => toHex(record?.packet ?? new Uint8Array(0)) === toHex(packet.bytes))).toBe(
      true,
    );
  });

  it('is a session: it is given up after the second time, and what it carried comes in a new one', async () => {
    const rig = await Rig.met();
    await rig.pass(5 * MINUTE);
    const [cursed] = (await rig.laptop.pair(rig.phone)).sessions.map(({ id }) => id);
    rig.phone.engine.beforeDecrypt = (id) => (toHex(id) === cursed ? trap() : undefined);
    const receipt = await rig.send(rig.laptop, rig.phone, 'in a cursed session');
    const ends = await survive(rig, rig.phone, 5);
    expect(ends).toBe(2);
    expect(await rig.payloads(rig.phone)).toEqual(['in a cursed session']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    expect((await rig.phone.pair(rig.laptop)).retired).toContain(cursed);
  });

  it('is a batch: it is put aside after the second time and reported, and those behind it arrive', async () => {
    let armed = false;
    let thrown = 0;
    const rig = await Rig.make({
      clockOf: (name, clock): Clock =>
        name === "Alice's phone"
          ? {
              now: () => {
                if (!armed) return clock.now();
                armed = false;
                thrown++;
                throw new Error('a bug that one batch brings out');
              },
              elapsed: () => clock.elapsed(),
              after: (delay, call) => clock.after(delay, call),
            }
          : clock,
    });
    await rig.startAll();
    await rig.pass(5 * SECOND);
    rig.phone.engine.afterDecrypt = (plaintext) => {
      // A third try would succeed, so it must not come to that.
      armed = thrown < 2 && words(plaintext).includes('cursed batch');
    };
    rig.phone.mayEnd = true;
    const cursed = await rig.send(rig.laptop, rig.phone, 'cursed batch');
    await rig.pass(10);
    const next = await rig.send(rig.laptop, rig.phone, 'behind it');
    const ends = await survive(rig, rig.phone, 10);
    expect(ends).toBe(2);
    expect(await rig.payloads(rig.phone)).toEqual(['behind it']);
    expect(rig.phone.incidents).toContainEqual({
      what: 'batch-quarantined',
      device: rig.laptop.id,
      count: 1,
    });
    expect(await rig.states(rig.laptop, cursed)).toEqual(['failed']);
    expect(await rig.states(rig.laptop, next)).toEqual(['delivered']);
  });
});
