/** Much of something: batches that leave a gap, packets in the name of a removed device, revocations of nobody. */
import { describe, expect, it } from 'vitest';
import { deviceIdFromBytes } from '../../src/entities/device-id.ts';
import type { Value } from '../../src/entities/wire/cbor.ts';
import { encodeEnvelope } from '../../src/entities/wire/envelope.ts';
import { withItems } from '../usecases/messaging/rewriting.ts';
import { HOUR, MINUTE, Rig, SECOND } from '../usecases/messaging/rig.ts';
import type { RigDevice } from '../usecases/messaging/rig-device.ts';

const [AFTER, FIRST, RECORDS] = [3, 6, 7] as const;
const PER_PARCEL = 16;
const PARCELS = 60;

/** In the place of each batch, sixteen of one record each, from this number on; the numbers go on in the next one. */
function flooding(from: number): (plaintext: Uint8Array) => Uint8Array {
  let next = from;
  return withItems((items) =>
    items.flatMap((item): readonly Value[] => {
      if (!Array.isArray(item) || item[0] !== 1) return [];
      const batch = item as readonly Value[];
      const [record = null] = batch[RECORDS] as readonly Value[];
      return Array.from({ length: PER_PARCEL }, () => {
        const copy = [...batch];
        copy[AFTER] = new Uint8Array(0);
        copy[FIRST] = next++;
        copy[RECORDS] = [record];
        return copy;
      });
    }),
  );
}

describe('a member that floods another with batches behind a gap', () => {
  it('has 128 of them kept in memory, is asked for the rest at its own pace, and is in nobody else’s way', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    await rig.send(pi, phone, 'number 1');
    await rig.pass(SECOND);
    const position = phone.position;
    const since = rig.post.log.length;
    // Number 2 is never sent.
    pi.engine.instead = flooding(3);
    rig.post.fate = (packet) => (packet.from === phone.id && packet.to === pi.id ? 'drop' : 'deliver');
    for (let i = 0; i < PARCELS; i++) {
      await rig.send(pi, phone, 'flood');
      await rig.pass(10);
    }
    const parcels = rig.sent(pi, phone, since).length;
    expect(phone.count('batch-gap')).toBeGreaterThanOrEqual(PARCELS * PER_PARCEL);
    // What fills the memory is asked about a few times; what finds no room in it is not answered at all.
    expect(parcels).toBe(PARCELS);
    expect(rig.sent(phone, pi, since).length).toBeLessThanOrEqual(128 / PER_PARCEL + 1);
    expect(phone.position - position).toBeLessThanOrEqual(2 * parcels);
    await rig.send(laptop, phone, 'from somebody else');
    await rig.pass(SECOND);
    expect(await rig.payloads(phone)).toEqual(['number 1', 'from somebody else']);
    // Now it comes, and with it what was kept: no more than 128.
    pi.engine.instead = flooding(2);
    await rig.send(pi, phone, 'flood');
    await rig.pass(10);
    const flooded = (await rig.payloads(phone)).filter((payload) => payload === 'flood');
    expect(flooded.length).toBe(1 + 128);
  });
});

describe('packets in the name of a removed device', () => {
  it('are answered with one notice in ten seconds, however many they are, and change nothing', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, pi } = rig;
    await rig.revoke(laptop, pi);
    await rig.pass(MINUTE);
    await rig.stop(pi);
    const position = laptop.position;
    const since = rig.post.log.length;
    for (let i = 0; i < 1000; i++) {
      const junk = { kind: 'sealed', from: pi.id, counter: i + 1, attached: [] } as const;
      const body = { session: rig.seeded.bytes(8), body: rig.seeded.bytes(100) };
      rig.post.hand(
        laptop.id,
        encodeEnvelope({ ...junk, ...body }, () => rig.seeded.bytes(16)),
      );
      if (i % 20 === 0) await rig.pass(SECOND);
    }
    await rig.pass(SECOND);
    const said = rig.sent(laptop, pi, since);
    expect(new Set(rig.kinds(said))).toEqual(new Set(['notice']));
    expect(said.length).toBeLessThanOrEqual(6);
    expect(laptop.count('sender-removed')).toBeGreaterThanOrEqual(1000);
    // What the housekeeper writes once a minute.
    expect(laptop.position - position).toBeLessThanOrEqual(2);
  });
});

describe('a member that revokes hundreds of devices that do not exist', () => {
  it('removes no member, and the others go on talking and agree; once it is out it writes no more', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    const { log } = pi.messenger;
    const revoke = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const target = deviceIdFromBytes(rig.seeded.bytes(20));
        if (target === undefined) throw new Error('twenty bytes are an id');
        log.write({ kind: 'revoke', target, cut: null, reason: 'lost' });
      }
    };
    revoke(300);
    await rig.pass(MINUTE);
    await rig.send(laptop, phone, 'in between');
    await rig.pass(HOUR);
    const size = (device: RigDevice): number => device.messenger.log.membership().log.size;
    for (const device of [laptop, phone]) {
      expect([...device.messenger.log.membership().roster.members].sort()).toEqual(
        rig.devices.map(({ id }) => id).sort(),
      );
    }
    expect(size(laptop)).toBe(size(phone));
    expect(await rig.payloads(phone)).toEqual(['in between']);
    // What it says of its own is its own affair; the others answer for all of them with a few entries.
    const answers = [...laptop.messenger.log.membership().log.values()].filter(
      ({ author, body }) => body.kind === 'confirm' && author.id !== pi.id,
    );
    expect(answers.length).toBeLessThanOrEqual(10);
    await rig.revoke(laptop, pi);
    await rig.pass(MINUTE);
    const settled = size(laptop);
    revoke(100);
    await rig.pass(HOUR);
    // Nor from anybody else who has them.
    const more = [...log.membership().log.values()].filter(({ author }) => author.id === pi.id).slice(-100);
    for (const device of [laptop, phone]) {
      const outcomes = device.messenger.log.admit(more).map(({ outcome }) => outcome);
      expect(new Set(outcomes)).toEqual(new Set(['refused']));
    }
    await rig.pass(MINUTE);
    expect(size(laptop)).toBe(settled);
    expect(size(phone)).toBe(settled);
  });
});
