/**
 * A broker that lets a message overtake others of the same ratchet chain. The engine keeps the keys of 40 messages
 * that were overtaken and jumps over 2000; beyond either, the pair begins one new session, and nothing is lost.
 */
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/entities/bytes.ts';
import type { Session } from '../../src/usecases/ports/engine.ts';
import type { Packet } from '../usecases/messaging/post.ts';
import { MINUTE, Rig, SECOND } from '../usecases/messaging/rig.ts';

const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i}`);

/** The two have talked, and the phone says nothing any more that the laptop hears: its chain goes on and on. */
async function inOneChain(): Promise<[rig: Rig, chain: () => Session]> {
  const rig = await Rig.met();
  const { laptop, phone } = rig;
  await rig.stop(laptop);
  const live = new Map<string, Session>();
  const { engine } = laptop;
  const restore = engine.restoreSession;
  engine.restoreSession = (pickle, key) => {
    const session = restore(pickle, key);
    live.set(toHex(session.id), session);
    return session;
  };
  await rig.start(laptop);
  await rig.pass(2 * MINUTE);
  rig.post.fate = (packet) => (packet.from === phone.id ? 'drop' : 'deliver');
  const [current] = (await laptop.pair(phone)).sessions;
  const chain = (): Session => {
    const session = live.get(current?.id ?? '');
    if (session === undefined) throw new Error('the laptop does not use this session');
    return session;
  };
  return [rig, chain];
}

/** The laptop sends so many envelopes; the broker keeps them. */
async function held(rig: Rig, count: number): Promise<Packet[]> {
  const packets: Packet[] = [];
  rig.post.fate = (packet) => {
    if (packet.from === rig.laptop.id) packets.push(packet);
    return 'drop';
  };
  for (const payload of upTo(count)) await rig.send(rig.laptop, rig.phone, payload);
  await rig.pass(SECOND);
  expect(packets).toHaveLength(count);
  return packets;
}

async function deliver(rig: Rig, packets: readonly Packet[]): Promise<void> {
  for (const packet of packets) {
    rig.post.hand(rig.phone.id, packet.bytes);
    await rig.settle();
  }
}

describe('a message that overtakes others in its chain', () => {
  it('costs nothing where they are 40: all are read, in their order', async () => {
    const [rig] = await inOneChain();
    const packets = await held(rig, 41);
    const begun = rig.phone.engine.counts.startSession;
    await deliver(rig, [...packets.slice(40), ...packets.slice(0, 40)]);
    expect(rig.phone.count('undecryptable')).toBe(0);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(41));
    rig.post.fate = () => 'deliver';
    await rig.pass(10 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(41));
    expect(rig.phone.engine.counts.startSession).toBe(begun);
  });

  it('costs one new session where they are 41: the first cannot be read any more, and comes again', async () => {
    const [rig] = await inOneChain();
    const packets = await held(rig, 42);
    const begun = rig.phone.engine.counts.startSession;
    await deliver(rig, [...packets.slice(41), ...packets.slice(0, 41)]);
    expect(rig.phone.count('undecryptable')).toBe(1);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    rig.post.fate = () => 'deliver';
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(42));
    await rig.pass(10 * MINUTE);
    expect(rig.phone.engine.counts.startSession).toBe(begun + 1);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(42));
  });
});

describe('a message before which others of its chain were lost', () => {
  const afterLosing = async (lost: number): Promise<[rig: Rig, begun: number]> => {
    const [rig, chain] = await inOneChain();
    await rig.send(rig.laptop, rig.phone, 'message 0');
    await rig.pass(SECOND);
    const begun = rig.phone.engine.counts.startSession;
    for (let i = 0; i < lost; i++) chain().encrypt(new Uint8Array(32));
    await rig.send(rig.laptop, rig.phone, 'message 1');
    await rig.pass(SECOND);
    return [rig, begun];
  };

  it('is read at once where they were 1999', async () => {
    const [rig, begun] = await afterLosing(1999);
    expect(rig.phone.count('undecryptable')).toBe(0);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(2));
    expect(rig.phone.engine.counts.startSession).toBe(begun);
  });

  it('costs one new session where they were 2001, and comes again', async () => {
    const [rig, begun] = await afterLosing(2001);
    expect(rig.phone.count('undecryptable')).toBe(1);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(1));
    rig.post.fate = () => 'deliver';
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(upTo(2));
    await rig.pass(10 * MINUTE);
    expect(rig.phone.engine.counts.startSession).toBe(begun + 1);
    expect(rig.phone.count('undecryptable')).toBe(1);
  });
});
