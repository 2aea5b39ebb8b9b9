/** Somebody who says that it is a device of the mesh, with other keys or in another version. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { parseAgreementKey } from '../../src/entities/keys.ts';
import { ENVELOPE_LABEL, envelopeDigest, pairContext } from '../../src/entities/pair-keys.ts';
import { type Envelope, encodeEnvelope, type Unsealed } from '../../src/entities/wire/envelope.ts';
import { realRandomness } from '../randomness.ts';
import { Rig, SECOND } from '../usecases/messaging/rig.ts';
import type { RigDevice } from '../usecases/messaging/rig-device.ts';

const { hash } = nodePrimitives;

/** Hands a packet over, and returns what it was counted as; it must have had no effect. */
async function refusalOf(rig: Rig, to: RigDevice, packet: Uint8Array): Promise<readonly string[]> {
  const before = { ...to.messenger.status().counts };
  const { encrypt, decrypt, startSession, acceptSession } = to.engine.counts;
  const [committed, sent] = [to.committed(), rig.post.log.length];
  rig.post.hand(to.id, packet);
  await rig.settle();
  expect(to.committed() === committed).toBe(true);
  expect(rig.post.log.length).toBe(sent);
  expect(to.engine.counts).toMatchObject({ encrypt, decrypt, startSession, acceptSession });
  const { counts } = to.messenger.status();
  return Object.keys(counts).filter((reason) => (counts[reason] ?? 0) > (before[reason] ?? 0));
}

describe('new keys under a known id', () => {
  it('begin no session, though they fit a one-time key that is reserved for that device', async () => {
    const rig = await Rig.met();
    const { laptop, phone } = rig;
    const reserved = parseAgreementKey((await phone.pair(laptop)).theirKeys[0] ?? new Uint8Array(0));
    if ('refused' in reserved) throw new Error('the laptop has reserved keys for the phone');
    const mallory = (await loadEngine(realRandomness)).createAccount();
    const session = mallory.startSession(laptop.party.keys.agreement, reserved.ok);
    const { body } = session.encrypt(new Uint8Array(300));
    const claimed = { id: phone.id, keys: mallory.keys };
    const { mesh } = laptop.messenger.log.membership();
    const serial = Math.floor(rig.clock.now()) + 1000;
    const nonce = rig.seeded.bytes(16);
    const tag = session.id.subarray(0, 8);
    const said: Unsealed[] = [
      { kind: 'initial', from: phone.id, serial, session: tag, body, attached: [] },
      { kind: 'greeting', from: phone.id, serial, nonce, seenSerial: 0, sessions: [], versions: [1] },
      { kind: 'request', from: phone.id, serial, nonce },
    ];
    for (const envelope of said) {
      // Its signature is right under its own keys, and under those it would like to be the phone's.
      for (const from of [claimed, phone.party]) {
        const context = pairContext(hash, mesh, from, laptop.party);
        const packet = encodeEnvelope(envelope, (covered) =>
          mallory.sign({ label: ENVELOPE_LABEL, digest: envelopeDigest(hash, context, covered) }),
        );
        expect(await refusalOf(rig, laptop, packet), envelope.kind).toEqual(['signature-wrong']);
      }
    }
    session.dispose();
    mallory.dispose();
    expect((await laptop.pair(phone)).ourKeys).toContainEqual(reserved.ok);
    await rig.send(phone, laptop, 'the real one');
    await rig.pass(SECOND);
    expect(await rig.payloads(laptop)).toEqual(['the real one']);
  });
});

describe('another version', () => {
  it('of the envelope is refused, whichever it is, and nothing is done for it', async () => {
    const rig = await Rig.met();
    const { laptop, phone } = rig;
    await rig.send(phone, laptop, 'one');
    await rig.pass(SECOND);
    for (const version of [0, 2, 3, 255]) {
      for (const packet of rig.sent(phone, laptop)) {
        const changed = packet.bytes.slice();
        changed[0] = version;
        expect(await refusalOf(rig, laptop, changed)).toEqual(['envelope-unknown-version']);
      }
    }
  });

  it('cannot be put into what a device says that it understands', async () => {
    const rig = await Rig.met();
    const { laptop, phone } = rig;
    // Held back, so that it is new to the laptop.
    rig.post.fate = (packet) => (packet.from === phone.id ? 'drop' : 'deliver');
    const since = rig.post.log.length;
    await rig.restart(phone);
    await rig.pass(SECOND);
    const greetings = rig
      .sent(phone, laptop, since)
      .map((packet) => rig.envelope(packet))
      .filter((envelope) => envelope.kind === 'greeting');
    expect(greetings.length).toBeGreaterThan(0);
    for (const greeting of greetings) {
      for (const versions of [[2], [1, 2], [0, 1]]) {
        const { signature, ...rest }: Extract<Envelope, { kind: 'greeting' }> = greeting;
        const changed = encodeEnvelope({ ...rest, versions }, () => signature);
        expect(await refusalOf(rig, laptop, changed)).toEqual(['signature-wrong']);
      }
    }
  });
});
