import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/adapters/memory/virtual-clock.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { Secret } from '../../../src/entities/secret.ts';
import type { SessionId } from '../../../src/entities/session-set.ts';
import { createCommitCycle } from '../../../src/usecases/commit-cycle.ts';
import { createRatchets } from '../../../src/usecases/messaging/ratchets.ts';
import type { Pickle } from '../../../src/usecases/ports/engine.ts';
import { realRandomness } from '../../randomness.ts';
import { DAY, HOUR, Rig, SECOND, text } from './rig.ts';

describe('many sessions', () => {
  it('are all at hand, however many more there are than room for', async () => {
    const engine = await loadEngine(realRandomness);
    const key = new Secret(realRandomness(32));
    const [alice, bob] = [engine.createAccount(), engine.createAccount()];
    const stored = new Map<SessionId, Pickle>();
    for (const oneTimeKey of bob.createOneTimeKeys(70)) {
      const session = alice.startSession(bob.keys.agreement, oneTimeKey);
      stored.set(`session ${stored.size}` as SessionId, session.pickle(key));
      session.dispose();
    }
    const cycle = createCommitCycle({
      clock: new VirtualClock(),
      keystore: { commit: async () => undefined },
      prepare: () => undefined,
      fatal: (error) => {
        throw error;
      },
    });
    const ratchets = createRatchets(engine, key, cycle, stored);
    for (let round = 0; round < 3; round++) {
      for (const id of stored.keys()) expect(ratchets.live(id).encrypt(text('x')).type).toBe(0);
    }
    ratchets.dispose();
  });
});

describe('labels', () => {
  it('that a decoder would swallow a part of, or that hold control characters, are refused', async () => {
    const rig = await Rig.met();
    for (const thread of ['\uFEFFinbox', 'a\u0000b', 'a\nb', '\ud800']) {
      const sent = await rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('x'), thread });
      expect(sent).toEqual({ refused: 'label-unprintable' });
    }
    await rig.send(rig.laptop, rig.phone, { payload: text('y'), thread: 'Büro 📎 inbox' });
    await rig.pass(SECOND);
    expect((await rig.inbox(rig.phone)).map(({ thread }) => thread)).toEqual(['Büro 📎 inbox']);
  });
});

describe('more than a thousand cancelled messages that had left', () => {
  it('end as cancelled, every one of them, where none has arrived', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (packet.from === rig.laptop.id ? 'drop' : 'deliver');
    const sends = Array.from({ length: 1300 }, () =>
      rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('x') }),
    );
    await rig.pass(SECOND);
    const ids = (await Promise.all(sends)).map((sent) => {
      if ('refused' in sent) throw new Error(sent.refused);
      return sent.ok.id;
    });
    const cancelled = ids.map((id) => rig.laptop.messenger.cancel(id));
    await rig.settle();
    await Promise.all(cancelled);
    rig.post.fate = () => 'deliver';
    await rig.pass(HOUR);
    const states = new Set<string | undefined>();
    for (const id of ids) states.add((await rig.laptop.messenger.delivery(id))?.to[0]?.state);
    expect([...states]).toEqual(['cancelled']);
    expect(await rig.inbox(rig.phone)).toEqual([]);
    expect(rig.laptop.messenger.outbox()).toEqual([]);
  }, 60_000);
});

describe('a device that never comes back', () => {
  it('does not take the room of what is sent to others', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.phone);
    for (let i = 0; i < 3; i++) {
      await rig.send(rig.laptop, rig.phone, { payload: new Uint8Array(60_000), ttl: HOUR });
    }
    expect(rig.laptop.messenger.status().outbox).toEqual({ messages: 3, bytes: 180_000 });
    await rig.pass(DAY);
    expect(rig.laptop.messenger.status().outbox).toEqual({ messages: 0, bytes: 0 });
    await rig.restart(rig.laptop);
    expect(rig.laptop.messenger.status().outbox).toEqual({ messages: 0, bytes: 0 });
  });
});

describe('a broker that takes nothing any more', () => {
  it('is told of once, and what waits is held until there is another connection', async () => {
    const rig = await Rig.met();
    let refused = 0;
    rig.post.outcome = (packet) => {
      if (packet.from !== rig.laptop.id) return 'taken';
      refused += 1;
      return 'too-large';
    };
    const receipt = await rig.send(rig.laptop, rig.phone, 'held');
    await rig.pass(HOUR);
    expect(refused).toBeLessThan(40);
    const { incidents } = rig.laptop.messenger.status();
    expect(incidents.filter(({ what }) => what === 'packet-too-large')).toHaveLength(1);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['accepted']);
    const since = rig.post.log.length;
    for (let i = 0; i < 5; i++) await rig.send(rig.laptop, rig.phone, 'behind it');
    await rig.pass(SECOND);
    expect(rig.batches(rig.sent(rig.laptop, rig.phone, since))).toEqual([]);
    rig.post.outcome = () => 'taken';
    rig.post.disconnect(rig.laptop.id);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(10 * SECOND);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
  });
});

describe('a cancel', () => {
  it('is answered while others go on sending', async () => {
    const rig = await Rig.met();
    let sent = 0;
    const sendOn = async (): Promise<void> => {
      while (sent < 600) {
        sent += 1;
        await rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('x') });
      }
    };
    // Out of step with each other, so that there is always one that has just asked.
    const later = async (turns: number): Promise<void> => {
      for (let i = 0; i < turns; i++) await undefined;
      return sendOn();
    };
    const afterAll = new Promise((resolve) => setImmediate(resolve)).then(sendOn);
    const senders = [sendOn(), later(3), later(7), afterAll];
    const taken = await rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('take this back') });
    if ('refused' in taken) throw new Error(taken.refused);
    await rig.laptop.messenger.cancel(taken.ok.id);
    expect(sent).toBeLessThan(600);
    await Promise.all(senders);
  });
});

describe('a greeting that was held back', () => {
  it('retires nothing once something newer has come', async () => {
    const rig = await Rig.met();
    rig.post.fate = (packet) => (rig.kinds([packet])[0] === 'greeting' ? 'drop' : 'deliver');
    rig.post.disconnect(rig.phone.id);
    rig.post.connect(rig.phone.id, true);
    await rig.pass(100);
    const held = rig
      .sent(rig.phone, rig.laptop)
      .filter((packet) => rig.kinds([packet])[0] === 'greeting')
      .at(-1);
    rig.post.fate = () => 'deliver';
    rig.post.disconnect(rig.phone.id);
    rig.post.connect(rig.phone.id, true);
    await rig.pass(SECOND);
    if (held === undefined) throw new Error('it greets when it connects');
    rig.post.hand(rig.laptop.id, held.bytes);
    await rig.pass(SECOND);
    expect(rig.laptop.count('greeting-late')).toBe(1);
  });
});
