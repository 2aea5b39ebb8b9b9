import { describe, expect, it } from 'vitest';
import { deviceIdFromBytes } from '../../../src/entities/device-id.ts';
import { encodeEnvelope, type Unsealed } from '../../../src/entities/wire/envelope.ts';
import { oneTimeKeys } from '../../wire-vectors/cast.ts';
import { Rig, SECOND } from './rig.ts';

const COUNT = 10_000;
const keys = oneTimeKeys(1, 2, 3);

/** Envelopes as Mallory can write them who knows every id and every session's tag, and no key at all. */
async function forgeries(rig: Rig): Promise<Uint8Array[]> {
  const { sessions } = await rig.laptop.pair(rig.phone);
  const [held] = sessions;
  const tag = Uint8Array.from(Buffer.from(held?.id ?? '', 'hex')).slice(0, 8);
  const stranger = deviceIdFromBytes(rig.seeded.bytes(20));
  if (held === undefined || stranger === undefined) throw new Error('the two have not met');
  return Array.from({ length: COUNT }, (_, i) => {
    const from = i % 11 === 0 ? stranger : rig.phone.id;
    const number = 2_000_000_000_000 + i;
    const common = { from, serial: number, nonce: rig.seeded.bytes(16) };
    const body = rig.seeded.bytes(300);
    const session = i % 3 === 0 ? rig.seeded.bytes(8) : tag;
    const forged: Unsealed[] = [
      { kind: 'sealed', from, counter: number, session, body, attached: [] },
      { kind: 'sealed', from, counter: i + 1, session, body, attached: [rig.seeded.bytes(2000)] },
      { kind: 'initial', from, serial: number, session, body, attached: [] },
      { kind: 'greeting', ...common, seenSerial: number, sessions: [], versions: [1] },
      { kind: 'request', ...common },
      { kind: 'answer', ...common, keys },
    ];
    const chosen = forged[i % 7];
    if (chosen === undefined) return rig.seeded.bytes(i % 400);
    const digests = 'attached' in chosen ? chosen.attached.map(() => rig.seeded.bytes(32)) : [];
    return encodeEnvelope(chosen, () => rig.seeded.bytes(chosen.kind === 'sealed' ? 16 : 64), digests);
  });
}

describe('ten thousand forged envelopes', () => {
  it('change nothing, move no ratchet, and cost less than a hundred microseconds each', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'before');
    await rig.send(rig.phone, rig.laptop, 'before');
    await rig.pass(5 * SECOND);
    const forged = await forgeries(rig);
    const [before, position, work] = [
      rig.laptop.committed(),
      rig.laptop.position,
      { ...rig.laptop.engine.counts },
    ];
    const sent = rig.post.log.length;
    const started = process.cpuUsage();
    for (let i = 0; i < forged.length; i += 500) {
      for (const bytes of forged.slice(i, i + 500)) rig.post.hand(rig.laptop.id, bytes);
      await rig.pass(100);
    }
    const { user, system } = process.cpuUsage(started);
    const { counts } = rig.laptop.messenger.status();
    const refused = Object.values(counts).reduce((sum, count) => sum + count, 0);
    expect(refused).toBe(COUNT);
    for (const reason of [
      'mac-wrong',
      'session-unknown',
      'signature-wrong',
      'signature-budget',
      'sender-unknown',
    ]) {
      expect(counts[reason] ?? 0, reason).toBeGreaterThan(0);
    }
    expect(rig.laptop.position).toBe(position);
    expect(rig.laptop.committed()).toBe(before);
    expect(rig.post.log.length).toBe(sent);
    const { verify, ...ratchets } = rig.laptop.engine.counts;
    expect(ratchets).toEqual({ ...ratchets, ...(({ verify: _, ...rest }) => rest)(work) });
    // Twenty at once, and four for each of the two seconds that this took.
    expect(verify - work.verify).toBeLessThanOrEqual(80 + 40 * 2 + 1);
    expect((user + system) / COUNT).toBeLessThan(100);
    await rig.pass(30 * SECOND);
    await rig.send(rig.phone, rig.laptop, 'after');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.laptop)).toEqual(['before', 'after']);
  });
});
