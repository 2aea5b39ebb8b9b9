/**
 * Every kind of envelope and item, captured on its way between every two devices, is handed to everybody it is
 * not for, its sender among them, and to the same devices in another mesh. It changes nothing anywhere.
 */

import { expect, it } from 'vitest';
import { decode as decodeCbor, encode, type Value } from '../../../src/entities/wire/cbor.ts';
import { pad, unpad } from '../../../src/entities/wire/padding.ts';
import { decodeCore, encodeCore } from '../../../src/entities/wire/parcel.ts';
import type { Packet } from './post.ts';
import { Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const ENVELOPES = ['sealed', 'initial', 'greeting', 'request', 'answer'] as const;
const ITEMS = ['batch', 'ack', 'hello', 'keys', 'entries'] as const;

/** Puts entries of a membership log into every parcel that is encrypted by the ratchet itself. */
function withEntries(plaintext: Uint8Array): Uint8Array {
  const core = decodeCore(plaintext);
  if ('refused' in core || !('inside' in core.ok)) return plaintext;
  const text = unpad(core.ok.inside);
  const parcel = text === undefined ? undefined : decodeCbor(text, { bytes: 1e6, depth: 9, items: 1e5 });
  if (parcel === undefined || 'refused' in parcel || !Array.isArray(parcel.ok)) return plaintext;
  const [context, roster, secret, items] = parcel.ok as readonly Value[];
  if (!Array.isArray(items)) return plaintext;
  const more = [...items, [5, [Uint8Array.of(1, 2, 3)]]];
  const inside = pad(encode([context ?? null, roster ?? null, secret ?? null, more]));
  return encodeCore(plaintext.slice(2, 18), { inside });
}

function labels(rig: Rig, packet: Packet): string[] {
  const { kind } = rig.envelope(packet);
  return [kind, ...rig.items(packet).map((item) => item.kind)];
}

/** One packet for each kind of envelope and of item that went from one device to the other. */
function oneOfEach(rig: Rig, from: RigDevice, to: RigDevice): Packet[] {
  const found = new Map<string, Packet>();
  for (const packet of rig.sent(from, to)) {
    for (const label of labels(rig, packet)) if (!found.has(label)) found.set(label, packet);
  }
  expect([...found.keys()].sort(), `${from.name} to ${to.name}`).toEqual([...ENVELOPES, ...ITEMS].sort());
  return [...new Set(found.values())];
}

/** So that everybody hands fresh keys to everybody. */
async function runLowOnKeys(rig: Rig): Promise<void> {
  for (const device of rig.devices) {
    const pairs = rig.devices.filter((other) => other !== device);
    const held = await Promise.all(pairs.map(async (other) => (await device.pair(other)).theirKeys));
    await rig.stop(device);
    for (const [i, other] of pairs.entries()) {
      await device.editPair(other, { theirKeys: held[i]?.slice(0, 1) ?? [] });
    }
  }
  await rig.startAll();
  await rig.pass(20 * SECOND);
}

const refusals = (device: RigDevice): number =>
  Object.values(device.messenger.status().counts).reduce((sum, count) => sum + count, 0);

it('nothing that Mallory redirects, reflects, or carries into another mesh has any effect', async () => {
  const rig = await Rig.met({ devices: 3 });
  await rig.estrange();
  const talked = rig.devices.map((device) => device.disk.image());
  rig.post.log.length = 0;
  for (const device of rig.devices) device.engine.instead = withEntries;
  await rig.startAll();
  for (let round = 0; round < 2; round++) {
    for (const from of rig.devices) {
      for (const to of rig.devices) if (from !== to) await rig.send(from, to, `round ${round}`);
    }
    await rig.pass(20 * SECOND);
    if (round === 0) await runLowOnKeys(rig);
  }
  const captured = rig.devices.flatMap((from) =>
    rig.devices.flatMap((to) => (from === to ? [] : oneOfEach(rig, from, to))),
  );
  const sent = rig.post.log.length;
  let redirected = 0;

  const handTo = async (device: RigDevice, packet: Packet, where: string): Promise<void> => {
    await rig.pass(300);
    const [before, counted, work] = [device.committed(), refusals(device), { ...device.engine.counts }];
    const packets = rig.post.log.length;
    rig.post.hand(device.id, packet.bytes);
    await rig.settle();
    const what = `${labels(rig, packet).join(' ')} ${where} at ${device.name}`;
    expect(refusals(device), what).toBe(counted + 1);
    expect(device.committed() === before, what).toBe(true);
    expect(rig.post.log.length, what).toBe(packets);
    const { encrypt, decrypt, startSession, acceptSession } = device.engine.counts;
    expect({ encrypt, decrypt, startSession, acceptSession }, what).toEqual({
      encrypt: work.encrypt,
      decrypt: work.decrypt,
      startSession: work.startSession,
      acceptSession: work.acceptSession,
    });
    redirected++;
  };

  for (const packet of captured) {
    for (const device of rig.devices) if (device.id !== packet.to) await handTo(device, packet, 'redirected');
  }
  expect(rig.post.log.length).toBe(sent);

  // The same keys, and the very same stores, in another mesh. It has not seen any of these numbers.
  for (const device of rig.devices) await rig.stop(device);
  for (const [i, device] of rig.devices.entries()) {
    device.engine.instead = (plaintext) => plaintext;
    const image = talked[i];
    if (image !== undefined) device.disk.restore(image);
    rig.post.forget(device.id);
  }
  await rig.found();
  await rig.startAll();
  await rig.pass(20 * SECOND);
  for (const packet of captured) {
    for (const device of rig.devices) await handTo(device, packet, 'from another mesh');
  }
  expect(redirected).toBe(captured.length * 5);
});
