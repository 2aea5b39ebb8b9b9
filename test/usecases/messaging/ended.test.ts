import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/adapters/memory/virtual-clock.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import { createCommitCycle } from '../../../src/usecases/commit-cycle.ts';
import { createEnded, endedKey, lastLot, lotOfEnded } from '../../../src/usecases/messaging/ended.ts';
import type { Keystore } from '../../../src/usecases/ports/keystore.ts';
import { DAY, Rig } from './rig.ts';

const id = (number: number): Uint8Array => new Uint8Array(16).fill(number);

it('says in the key of an ended lot which it is', () => {
  expect(lotOfEnded(endedKey(12, 345))).toBe(12);
});

it('forgets after a week, without reading what is to stay, and still finds that', async () => {
  const rig = await Rig.make();
  await rig.laptop.withStore(async (store) => {
    const labels = { type: 't', thread: null, group: null };
    for (const lot of [1, 2, 3, 11]) {
      const endedAt = lot * DAY;
      const message = { id: id(lot), sentAt: lot, expiresAt: 0, ...labels, bytes: 0, to: [] };
      await store.commit([
        { kind: 'ended', key: endedKey(lot, endedAt), put: { endedAt, messages: [message] } },
        { kind: 'chosen', key: toHex(id(lot)), put: lot },
      ]);
    }
    const read: string[] = [];
    const keystore: Keystore = {
      ...store,
      keys: (kind) => store.keys(kind),
      read: (kind, key) => {
        if (kind === 'ended') read.push(key);
        return store.read(kind, key);
      },
    };
    const cycle = createCommitCycle({
      keystore: store,
      clock: new VirtualClock(),
      prepare: () => undefined,
      fatal: (error) => {
        throw error;
      },
    });
    const ended = createEnded({ keystore, cycle, runningTime: () => 8 * DAY });
    expect((await ended.ofChosen(id(1)))?.id).toEqual(id(1));
    expect(read.splice(0)).toEqual([endedKey(1, DAY)]);
    await ended.forget();
    await cycle.settled();
    expect(read.splice(0)).toEqual([endedKey(1, DAY)]);
    expect(await ended.ofChosen(id(1))).toBeUndefined();
    expect(await ended.of(id(1))).toBeUndefined();
    expect(store.keys('chosen')).toHaveLength(3);
    expect((await ended.ofChosen(id(11)))?.id).toEqual(id(11));
    expect((await ended.all()).map((receipt) => receipt.id)).toEqual([id(2), id(3), id(11)]);
  });
});

describe('the number of the next lot', () => {
  it('follows the highest that was given, however many there are', () => {
    const open = Array.from({ length: 200_000 }, (_, i) => String(i + 1));
    const ended = Array.from({ length: 200_000 }, (_, i) => endedKey(i + 200_001, 7));
    expect(lastLot(open, ended)).toBe(400_000);
    expect(lastLot(['9', '10'], [endedKey(4, 99)])).toBe(10);
    expect(lastLot([], [])).toBe(0);
  });
});

it('tells of what is over though its number still waits for an answer, and of nothing twice', async () => {
  const rig = await Rig.met();
  rig.post.disconnect(rig.phone.id);
  const kept = await rig.send(rig.laptop, rig.phone, 'goes out');
  await rig.pass(1000);
  const { messenger } = rig.laptop;
  const endings = async (): Promise<string[][]> =>
    (await messenger.ended()).map(({ to }) => to.map(({ state }) => state));
  expect(await endings()).toEqual([]);
  const sending = messenger.send({ to: [rig.phone.id], payload: new Uint8Array(1), ttl: 60_000 });
  await rig.settle();
  await sending;
  await rig.pass(3 * 60_000);
  // Numbered behind one that nobody has answered for, so its lot is not over yet.
  expect(messenger.outbox()).toHaveLength(1);
  expect(await endings()).toEqual([['expired']]);
  rig.post.connect(rig.phone.id, true);
  await rig.pass(60 * 60_000);
  expect(await rig.states(rig.laptop, kept)).toEqual(['delivered']);
  expect((await endings()).flat().sort()).toEqual(['delivered', 'expired']);
});
