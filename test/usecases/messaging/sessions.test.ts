import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/entities/bytes.ts';
import { MINUTE, Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

/** The phone cannot read anything any more that the laptop writes in a session which both have used. */
function breakRatchets(device: RigDevice): void {
  device.engine.refuse = () => 'olm-undecryptable';
}

function keysIn(rig: Rig, since: number): string[] {
  return rig.post.log.slice(since).flatMap((packet) => {
    const envelope = rig.envelope(packet);
    return envelope.kind === 'answer' ? [envelope.keys.map(toHex).join(' ')] : [];
  });
}

describe('sessions between two devices', () => {
  it('begin again by a signed request and its answer when there is none and no key to begin one with', async () => {
    const rig = await Rig.met();
    await rig.estrange();
    const since = rig.post.log.length;
    await rig.startAll();
    await rig.send(rig.laptop, rig.phone, 'after all');
    await rig.pass(5 * SECOND);
    const kinds = rig.kinds(rig.post.log.slice(since));
    expect(kinds).toContain('request');
    expect(kinds).toContain('answer');
    expect(await rig.payloads(rig.phone)).toEqual(['after all']);
  });

  it('come back when a message asks for a one-time key that is gone', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.laptop);
    await rig.stop(rig.phone);
    const reserved = await rig.laptop.withStore(
      async (store) => (await store.read('pair', rig.phone.id))?.theirKeys,
    );
    expect(reserved?.length).toBeGreaterThan(0);
    await rig.laptop.editPair(rig.phone, { sessions: [] });
    await rig.phone.editPair(rig.laptop, { sessions: [], ourKeys: [], theirKeys: [] });
    await rig.startAll();
    await rig.send(rig.laptop, rig.phone, 'with an old key');
    await rig.pass(5 * SECOND);
    expect(rig.phone.count('key-unknown')).toBeGreaterThan(0);
    expect(await rig.payloads(rig.phone)).toEqual(['with an old key']);
    expect((await rig.laptop.pair(rig.phone)).theirKeys.length).toBeLessThanOrEqual(5);
  });

  it('are offered the same five keys, however often they are asked for', async () => {
    const rig = await Rig.met();
    await rig.estrange();
    rig.post.fate = (packet) =>
      ['answer', 'initial'].includes(rig.envelope(packet).kind) ? 'drop' : 'deliver';
    const since = rig.post.log.length;
    await rig.startAll();
    await rig.send(rig.laptop, rig.phone, 'waiting');
    await rig.pass(10 * MINUTE);
    const fromPhone = rig.sent(rig.phone, rig.laptop, since).filter((p) => rig.envelope(p).kind === 'answer');
    expect(fromPhone.length).toBeGreaterThan(5);
    const offered = new Set(fromPhone.flatMap((p) => keysOf(rig, p)));
    expect(offered.size).toBeLessThanOrEqual(5);
    rig.post.fate = () => 'deliver';
    await rig.pass(60 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['waiting']);
  });

  it('gain nothing from a request that is replayed', async () => {
    const rig = await Rig.met();
    await rig.estrange();
    const since = rig.post.log.length;
    await rig.startAll();
    await rig.pass(5 * SECOND);
    const request = rig.sent(rig.laptop, rig.phone, since).find((p) => rig.envelope(p).kind === 'request');
    if (request === undefined) throw new Error('nobody asked for keys');
    const answers = keysIn(rig, since).length;
    const before = rig.phone.committed();
    for (let i = 0; i < 50; i++) rig.post.hand(rig.phone.id, request.bytes);
    await rig.settle();
    expect(rig.phone.count('replayed')).toBeGreaterThanOrEqual(50);
    expect(keysIn(rig, since)).toHaveLength(answers);
    expect(rig.phone.committed()).toBe(before);
  });

  it('are replaced once when an authentic message cannot be read, and not again for its replay', async () => {
    const rig = await Rig.met();
    await rig.pass(2 * MINUTE);
    rig.phone.engine.refuse = () => {
      rig.phone.engine.refuse = () => undefined;
      return 'olm-undecryptable';
    };
    const begun = rig.phone.engine.counts.startSession;
    const since = rig.post.log.length;
    await rig.send(rig.laptop, rig.phone, 'cannot be read');
    await rig.pass(10);
    const [unreadable] = rig.sent(rig.laptop, rig.phone, since);
    if (unreadable === undefined) throw new Error('nothing was sent');
    await rig.pass(30 * SECOND);
    expect(rig.phone.count('undecryptable')).toBe(1);
    expect(rig.phone.engine.counts.startSession).toBe(begun + 1);
    expect(await rig.payloads(rig.phone)).toEqual(['cannot be read']);
    await rig.pass(5 * MINUTE);
    rig.post.hand(rig.phone.id, unreadable.bytes);
    await rig.pass(5 * MINUTE);
    expect(rig.phone.count('replayed')).toBe(1);
    expect(rig.phone.engine.counts.startSession).toBe(begun + 1);
  });

  it('are replaced at most once a minute while nothing can be read, and ever more rarely', async () => {
    const rig = await Rig.met();
    breakRatchets(rig.phone);
    const begun = rig.phone.engine.counts.startSession;
    const times: number[] = [];
    const start = rig.clock.elapsed();
    let seen = begun;
    for (let i = 0; i < 40 * 12; i++) {
      await rig.send(rig.laptop, rig.phone, `try ${i}`);
      await rig.pass(5 * SECOND);
      if (rig.phone.engine.counts.startSession > seen) times.push(rig.clock.elapsed() - start);
      seen = rig.phone.engine.counts.startSession;
    }
    const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(pauses.length).toBeGreaterThan(2);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(MINUTE - 5 * SECOND);
    expect(times.length).toBeLessThanOrEqual(6);
    rig.phone.engine.refuse = () => undefined;
    await rig.pass(60 * MINUTE);
    expect(await rig.payloads(rig.phone)).toHaveLength(480);
  });

  it('are never more than four, and no ratchet of the others is kept', async () => {
    const rig = await Rig.met();
    for (let i = 0; i < 10; i++) {
      breakRatchets(rig.phone);
      await rig.send(rig.laptop, rig.phone, `round ${i}`);
      await rig.pass(SECOND);
      rig.phone.engine.refuse = () => undefined;
      await rig.pass(10 * MINUTE);
    }
    for (const [device, other] of [
      [rig.laptop, rig.phone],
      [rig.phone, rig.laptop],
    ] as const) {
      const { sessions, retired } = await device.pair(other);
      expect(sessions.length).toBeLessThanOrEqual(4);
      expect(retired.length).toBeGreaterThan(0);
      await rig.stop(device);
      const stored = await device.withStore(async (store) => store.keys('ratchet'));
      expect([...stored].sort()).toEqual(sessions.map(({ id }) => id).sort());
    }
  });
});

function keysOf(rig: Rig, packet: { readonly bytes: Uint8Array }): string[] {
  const envelope = rig.envelope(packet);
  return envelope.kind === 'answer' ? envelope.keys.map(toHex) : [];
}
