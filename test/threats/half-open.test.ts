/** A thousand devices that hold a link and begin to pair, and never go on. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { type DeviceId, deviceIdFromBytes } from '../../src/entities/device-id.ts';
import { inviteTag, pairingMac } from '../../src/entities/pairing/keys.ts';
import type { InviteLink } from '../../src/entities/pairing/link.ts';
import { encodeEnvelope } from '../../src/entities/wire/envelope.ts';
import { Seeded } from '../simulation/seeded.ts';
import { type Device, expectMarried, MINUTE, PairingRig, SECOND } from '../usecases/pairing/rig.ts';

const COUNT = 1000;
const { mac } = nodePrimitives;
const seeded = new Seeded(11);

function someId(): DeviceId {
  const id = deviceIdFromBytes(seeded.bytes(20));
  if (id === undefined) throw new Error('twenty bytes are an id');
  return id;
}

/** A first message from somebody, with a right MAC. */
function first(link: InviteLink, from: DeviceId, to: Device, body: Uint8Array): Uint8Array {
  const ends = { inviter: to.id, newcomer: from };
  return encodeEnvelope(
    { kind: 'pairing', from, step: 1, tag: inviteTag(mac, link.secret), body },
    (covered) => pairingMac(mac, link.secret, 'to inviter', ends, covered),
  );
}

const stored = (device: Device): number =>
  [...device.disk.rawEntries()].reduce((sum, [name, value]) => sum + name.length + value.length, 0);

async function rigOf(): Promise<[rig: PairingRig, laptop: Device, phone: Device, tablet: Device]> {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone", 'a stolen tablet');
  await rig.device(0).serve();
  return [rig, rig.device(0), rig.device(1), rig.device(2)];
}

describe('a thousand pairings that are begun and left', () => {
  it('are one claim and 999 refusals: nothing is kept of them, and the next invite works', async () => {
    const [rig, laptop, phone, tablet] = await rigOf();
    const link = await rig.invite(laptop);
    // The first one begins and says nothing more.
    rig.post.fate = (packet) =>
      packet.from === tablet.id && rig.message(packet).step > 1 ? 'drop' : 'deliver';
    await tablet.join(link);
    await rig.pass(5 * SECOND);
    expect(laptop.inviting.live()?.state).toBe('claimed');
    tablet.crash();
    const [packet] = rig.post.log.filter(({ from }) => from === tablet.id);
    if (packet === undefined) throw new Error('the tablet has begun');
    const { body } = rig.message(packet);
    const [size, sent] = [stored(laptop), rig.post.log.length];
    for (let i = 1; i < COUNT; i++) {
      rig.post.hand(laptop.id, first(link, someId(), laptop, body));
      if (i % 100 === 0) await rig.settle();
    }
    await rig.pass(SECOND);
    expect(laptop.counts.get('pairing-refused-used')).toBe(COUNT - 1);
    expect(rig.post.log.length - sent).toBe(COUNT - 1);
    expect(laptop.inviting.requests()).toEqual([]);
    expect(stored(laptop) - size).toBeLessThan(1000);
    expect(await laptop.members()).toEqual([laptop.id]);
    await rig.pass(11 * MINUTE);
    expect(laptop.inviting.live()).toBeUndefined();
    const next = await rig.invite(laptop);
    await rig.drive(laptop, phone, next);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('do not use the invite up where there is no session behind them', async () => {
    const [rig, laptop, phone] = await rigOf();
    const link = await rig.invite(laptop);
    const size = stored(laptop);
    for (let i = 0; i < COUNT; i++) {
      rig.post.hand(laptop.id, first(link, someId(), laptop, seeded.bytes(i % 400)));
      if (i % 100 === 0) await rig.settle();
    }
    await rig.pass(SECOND);
    expect(laptop.counts.get('pairing-refused-malformed')).toBe(COUNT);
    expect(laptop.inviting.live()?.state).toBe('open');
    expect(stored(laptop)).toBe(size);
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });
});
