/** One of the two has the link, the session and all keys that belong to it, and lies. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import type { MeshId } from '../../../src/entities/mesh-id.ts';
import { bundleSignable, type PairingMessage } from '../../../src/entities/pairing/messages.ts';
import { attachSignature, composeGenesis } from '../../../src/entities/roster/compose.ts';
import type { Account } from '../../../src/usecases/ports/engine.ts';
import { realRandomness } from '../../randomness.ts';
import type { Cheat } from './cheating-engine.ts';
import { type Device, expectMarried, MINUTE, PairingRig, SECOND } from './rig.ts';

const { hash } = nodePrimitives;

async function laptopAndPhone(): Promise<[rig: PairingRig, laptop: Device, phone: Device]> {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone");
  await rig.device(0).serve();
  return [rig, rig.device(0), rig.device(1)];
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
const ofStep =
  <Step extends PairingMessage['step']>(
    step: Step,
    change: (message: Extract<PairingMessage, { step: Step }>, account: Account) => ReturnType<Cheat>,
  ): Cheat =>
  (message, account) =>
    message.step === step ? change(message as Extract<PairingMessage, { step: Step }>, account) : message;

type First = Extract<PairingMessage, { step: 1 }>;

/** A first message that says something else, and is signed by whoever says it. */
const resigned = (inviter: DeviceId, first: First, account: Account): First => ({
  ...first,
  signature: account.sign(bundleSignable(hash, inviter, first)),
});

describe('an inviter whom a newcomer cheats', () => {
  const cases: readonly (readonly [what: string, cheat: (laptop: Device) => Cheat, refused: string])[] = [
    [
      'says it is another device',
      (laptop) =>
        ofStep(1, (first, account) => resigned(laptop.id, { ...first, keys: laptop.party.keys }, account)),
      'pairing-failed',
    ],
    [
      'has no version in common',
      (laptop) => ofStep(1, (first, account) => resigned(laptop.id, { ...first, versions: [2] }, account)),
      'pairing-version',
    ],
    [
      'has another link before it',
      (laptop) =>
        ofStep(1, (first, account) => resigned(laptop.id, { ...first, link: flipped(first.link) }, account)),
      'pairing-failed',
    ],
    [
      'has not signed what it says of itself',
      () => ofStep(1, (first) => ({ ...first, signature: flipped(first.signature) })),
      'pairing-failed',
    ],
    [
      'begins with something that is no message',
      () => ofStep(1, () => Uint8Array.of(0x81, 1)),
      'pairing-failed',
    ],
    [
      'opens another commitment than it made',
      () => ofStep(3, (third) => ({ ...third, nonce: flipped(third.nonce) })),
      'pairing-failed',
    ],
    [
      'goes on with something that is no message',
      () => ofStep(3, () => Uint8Array.of(0x81, 3)),
      'pairing-failed',
    ],
    [
      'gives a consent that is not for this',
      () => ofStep(5, (fifth) => ({ ...fifth, consent: flipped(fifth.consent) })),
      'pairing-failed',
    ],
    [
      'asks with something that is no message',
      () => ofStep(5, () => Uint8Array.of(0x81, 5)),
      'pairing-failed',
    ],
  ];
  for (const [what, cheat, refused] of cases) {
    it(`adds nobody, and burns the invite, where it ${what}`, async () => {
      const [rig, laptop, phone] = await laptopAndPhone();
      const link = await rig.invite(laptop);
      phone.cheat = cheat(laptop);
      await rig.drive(laptop, phone, link);
      expect(phone.result).toEqual({ refused });
      expect(await laptop.members()).toEqual([laptop.id]);
      expect(laptop.inviting.live()).toBeUndefined();
      // It was the inviter that saw it, and not the newcomer that gave up.
      const reason = refused === 'pairing-version' ? 'version' : 'malformed';
      expect(laptop.news.at(-1)).toMatchObject({ what: 'ended', reason });
      // Nobody else can use it now.
      phone.cheat = (message) => message;
      const pi = await rig.add('the Pi');
      await pi.join(link);
      await rig.pass(5 * SECOND);
      expect(pi.result).toEqual({ refused: 'invite-used' });
    });
  }

  it('adds nobody who signs with another key than that of its id', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const other = (await loadEngine(realRandomness)).createAccount();
    phone.cheat = ofStep(1, (first) => {
      const keys = { signing: other.keys.signing, agreement: first.keys.agreement };
      return resigned(laptop.id, { ...first, keys }, other);
    });
    await rig.drive(laptop, phone, await rig.invite(laptop));
    other.dispose();
    expect(laptop.news.at(-1)).toMatchObject({ what: 'ended', reason: 'malformed' });
    expect(phone.codes).toEqual([]);
  });

  it('adds nobody where a name was put in behind the back of the newcomer', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    phone.cheat = ofStep(1, (first, account) =>
      resigned(laptop.id, { ...first, name: 'the Pi' as First['name'] }, account),
    );
    // What the phone holds for said is not what the laptop heard, and its answer shows that.
    await rig.drive(laptop, phone, link);
    expect(phone.result).toEqual({ refused: 'pairing-failed' });
    expect(phone.codes).toEqual([]);
    expect(await laptop.members()).toEqual([laptop.id]);
  });
});

describe('a newcomer whom an inviter cheats', () => {
  const cases: readonly (readonly [what: string, cheat: Cheat, refused: string])[] = [
    [
      'has not the first message',
      ofStep(2, (one) => ({ ...one, first: flipped(one.first) })),
      'pairing-failed',
    ],
    [
      'leads into another mesh than the link said',
      ofStep(2, (one) => ({ ...one, mesh: `00${one.mesh.slice(2)}` as MeshId })),
      'pairing-failed',
    ],
    ['goes on in another version', ofStep(2, (one) => ({ ...one, version: 2 })), 'pairing-version'],
    ['answers with no message', ofStep(2, () => Uint8Array.of(0x81, 2)), 'pairing-failed'],
    [
      'has not seen the code typed',
      ofStep(4, (one) => ({ ...one, proof: flipped(one.proof) })),
      'pairing-failed',
    ],
    ['sends an empty log', ofStep(4, (one) => ({ ...one, entries: [] })), 'pairing-failed'],
    [
      'sends a log that is none',
      ofStep(4, (one) => ({ ...one, entries: one.entries.map(flipped) })),
      'pairing-failed',
    ],
    [
      'says that it was added, and it was not',
      ofStep(6, (one) => ({ ...one, entries: [] })),
      'pairing-failed',
    ],
  ];
  for (const [what, cheat, refused] of cases) {
    it(`stays what it was where the inviter ${what}`, async () => {
      const [rig, laptop, phone] = await laptopAndPhone();
      laptop.cheat = cheat;
      const before = await phone.membership();
      await rig.drive(laptop, phone, await rig.invite(laptop));
      expect(phone.result).toEqual({ refused });
      expect((await phone.membership()).mesh).toBe(before.mesh);
      await phone.withStore(async (keystore) => {
        expect(await keystore.read('joining', 'self')).toBeUndefined();
        expect(await keystore.read('setting', 'broker')).toBeUndefined();
        expect(keystore.keys('pair')).toEqual([]);
      });
    });
  }

  it('stays what it was where the rest of the mesh id is another one, which the code shows', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    laptop.cheat = ofStep(2, (one) => ({ ...one, mesh: `${one.mesh.slice(0, 62)}00` as MeshId }));
    await rig.drive(laptop, phone, await rig.invite(laptop));
    expect(phone.result).toEqual({ refused: 'invite-wrong-code' });
  });

  it('does not take the log of another mesh for that of the link', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const pi = await rig.add('the Pi');
    const foreign = [...(await pi.membership()).log.values()].map(({ bytes }) => bytes);
    laptop.cheat = ofStep(4, (one) => ({ ...one, entries: foreign }));
    await rig.drive(laptop, phone, await rig.invite(laptop));
    expect(phone.result).toEqual({ refused: 'pairing-failed' });
  });

  it('does not consent to another mesh of the same inviter', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    laptop.cheat = ofStep(4, (one, account) => {
      const salt = new Uint8Array(32);
      const body = { kind: 'genesis', keys: laptop.party.keys, name: undefined, salt } as const;
      const draft = composeGenesis(hash, laptop.id, body, 0);
      return { ...one, entries: [attachSignature(hash, draft, account.sign(draft.signable)).bytes] };
    });
    await rig.drive(laptop, phone, await rig.invite(laptop));
    expect(phone.result).toEqual({ refused: 'pairing-failed' });
    expect(rig.steps(phone, laptop)).not.toContain(5);
  });
});

describe('an inviter that has become an old copy of itself', () => {
  it('adds nobody before it has what it wrote, and the newcomer asks until then', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    const { roster, log } = laptop.log.membership();
    const [head] = roster.heads;
    if (head === undefined) throw new Error('a log without an end');
    let behind = true;
    laptop.log.isBehind = () => behind;
    const running = laptop.running;
    expect(running?.log?.isBehind()).toBe(true);
    await rig.during(laptop.inviting.approve(code));
    await rig.pass(MINUTE);
    expect(await laptop.members()).toEqual([laptop.id]);
    expect(laptop.log.membership().log.size).toBe(log.size);
    behind = false;
    await rig.pass(MINUTE);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });
});
