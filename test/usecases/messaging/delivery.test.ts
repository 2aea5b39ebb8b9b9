import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/entities/bytes.ts';
import { beginStream } from '../../../src/entities/outgoing-stream.ts';
import { DAY, HOUR, MINUTE, Rig, SECOND, text } from './rig.ts';

const id = new Uint8Array(16).fill(0x42);
const YEAR = 365 * DAY;

describe('payloads', () => {
  it('arrive as they were: nothing, one byte, every byte, 64 KiB', async () => {
    const rig = await Rig.met();
    const payloads = [
      new Uint8Array(0),
      Uint8Array.of(0),
      Uint8Array.from({ length: 256 }, (_, i) => i),
      rig.seeded.bytes(64 * 1024),
      rig.seeded.bytes(3333),
    ];
    for (const payload of payloads)
      await rig.send(rig.laptop, rig.phone, { payload, type: 'x/y', thread: 't' });
    await rig.pass(5 * SECOND);
    const arrived = await rig.inbox(rig.phone);
    expect(arrived.map(({ payload }) => toHex(payload))).toEqual(payloads.map(toHex));
    expect(
      arrived.every(({ type, thread, from }) => type === 'x/y' && thread === 't' && from === rig.laptop.id),
    ).toBe(true);
  });

  it('of 64 KiB and one byte are refused before anything is stored', async () => {
    const rig = await Rig.met();
    const before = rig.laptop.committed();
    const sent = await rig.laptop.messenger.send({
      to: [rig.phone.id],
      payload: new Uint8Array(64 * 1024 + 1),
    });
    await rig.settle();
    expect(sent).toEqual({ refused: 'payload-too-large' });
    expect(rig.laptop.committed()).toBe(before);
  });

  it('are refused for nobody, for a stranger, with an id of another length, or with a label too long', async () => {
    const rig = await Rig.met({ devices: 3 });
    const payload = text('x');
    const { messenger } = rig.laptop;
    const to = [rig.phone.id];
    const before = rig.laptop.committed();
    expect(await messenger.send({ to: [], payload })).toEqual({ refused: 'no-recipient' });
    expect(await messenger.send({ to: [rig.laptop.id], payload })).toEqual({ refused: 'unknown-recipient' });
    expect(await messenger.send({ to, payload, id: new Uint8Array(15) })).toEqual({
      refused: 'message-id-invalid',
    });
    expect(await messenger.send({ to, payload, type: 'x'.repeat(256) })).toEqual({
      refused: 'label-too-long',
    });
    expect(await messenger.send({ to, payload, thread: 'x'.repeat(256) })).toEqual({
      refused: 'label-too-long',
    });
    await rig.settle();
    expect(rig.laptop.committed()).toBe(before);
  });

  it('arrive even when a thousand of them have nothing but the longest labels', async () => {
    const rig = await Rig.met();
    rig.post.disconnect(rig.laptop.id);
    const label = '\u{1F980}'.repeat(127);
    const sending = Array.from({ length: 1000 }, () =>
      rig.laptop.messenger.send({ to: [rig.phone.id], payload: text(''), type: label, thread: label }),
    );
    await rig.settle();
    await Promise.all(sending);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(5 * MINUTE);
    expect(await rig.inbox(rig.phone)).toHaveLength(1000);
  });

  it('sent in one go share envelopes, and arrive in the order of sending', async () => {
    const rig = await Rig.met();
    const since = rig.post.log.length;
    const sending = Array.from({ length: 300 }, (_, i) =>
      rig.laptop.messenger.send({ to: [rig.phone.id], payload: text(String(i)) }),
    );
    await rig.settle();
    await Promise.all(sending);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
    expect(rig.sent(rig.laptop, rig.phone, since).length).toBeLessThan(10);
  });

  it('go to several devices at once, and are answered for by each', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.pi);
    const receipt = await rig.send(rig.laptop, [rig.phone, rig.pi], 'to both');
    await rig.pass(5 * SECOND);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered', 'published']);
    await rig.start(rig.pi);
    await rig.pass(5 * SECOND);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered', 'delivered']);
    expect(await rig.payloads(rig.pi)).toEqual(['to both']);
  });
});

describe('a message that shall not go, or cannot in time', () => {
  it('ends at once when it is cancelled before it was sent, and those behind it do not wait', async () => {
    const rig = await Rig.met();
    rig.post.disconnect(rig.laptop.id);
    await rig.send(rig.laptop, rig.phone, 'a');
    const b = await rig.send(rig.laptop, rig.phone, 'b');
    const c = await rig.send(rig.laptop, rig.phone, 'c');
    const cancelling = rig.laptop.messenger.cancel(b.id);
    await rig.settle();
    await cancelling;
    expect(await rig.states(rig.laptop, b)).toEqual(['cancelled']);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['a', 'c']);
    expect(await rig.states(rig.laptop, c)).toEqual(['delivered']);
    expect((await rig.laptop.messenger.delivery(b.id))?.to[0]?.mayHaveArrived).toBe(false);
  });

  it('takes its answer from the recipient when it is cancelled too late', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const receipt = await rig.send(rig.laptop, rig.phone, 'on its way');
    const cancelling = rig.laptop.messenger.cancel(receipt.id);
    await rig.settle();
    await cancelling;
    expect(await rig.states(rig.laptop, receipt)).toEqual(['published']);
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    expect(await rig.payloads(rig.phone)).toEqual(['on its way']);
  });

  it('ends as cancelled when the broker lost it after it was published', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const receipt = await rig.send(rig.laptop, rig.phone, 'lost on its way');
    const cancelling = rig.laptop.messenger.cancel(receipt.id);
    await rig.settle();
    await cancelling;
    rig.post.forget(rig.phone.id);
    await rig.start(rig.phone);
    await rig.pass(MINUTE);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['cancelled']);
    expect(await rig.payloads(rig.phone)).toEqual([]);
  });

  it('expires, and says whether it may have arrived', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const out = await rig.send(rig.laptop, rig.phone, { payload: text('published'), ttl: HOUR });
    rig.post.disconnect(rig.laptop.id);
    const kept = await rig.send(rig.laptop, rig.phone, { payload: text('never published'), ttl: HOUR });
    await rig.pass(59 * MINUTE);
    expect(await rig.states(rig.laptop, kept)).toEqual(['accepted']);
    await rig.pass(3 * MINUTE);
    for (const [receipt, mayHaveArrived] of [
      [out, true],
      [kept, false],
    ] as const) {
      const [delivery] = (await rig.laptop.messenger.delivery(receipt.id))?.to ?? [];
      expect(delivery).toMatchObject({ state: 'expired', mayHaveArrived });
    }
    const next = await rig.send(rig.laptop, rig.phone, 'behind them');
    rig.post.forget(rig.phone.id);
    rig.post.connect(rig.laptop.id, true);
    await rig.start(rig.phone);
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['behind them']);
    expect(await rig.states(rig.laptop, next)).toEqual(['delivered']);
  });

  it('that is to live for a second ends after a second', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const receipt = await rig.send(rig.laptop, rig.phone, { payload: text('in a hurry'), ttl: SECOND });
    await rig.pass(900);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['published']);
    await rig.pass(200);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['expired']);
  });

  it('that was cancelled too late expires like any other while the recipient stays silent', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const receipt = await rig.send(rig.laptop, rig.phone, { payload: text('too late'), ttl: HOUR });
    const cancelling = rig.laptop.messenger.cancel(receipt.id);
    await rig.pass(2 * HOUR);
    await cancelling;
    const [delivery] = (await rig.laptop.messenger.delivery(receipt.id))?.to ?? [];
    expect(delivery).toMatchObject({ state: 'expired', mayHaveArrived: true });
  });

  it('does not expire by a jump of the clock, a year forward or back', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    const receipts = [await rig.send(rig.laptop, rig.phone, { payload: text('a'), ttl: DAY })];
    for (const jump of [YEAR, -2 * YEAR, YEAR]) {
      rig.clock.jump(jump);
      await rig.pass(10 * MINUTE);
      receipts.push(await rig.send(rig.laptop, rig.phone, { payload: text('a'), ttl: DAY }));
    }
    await rig.restart(rig.laptop);
    await rig.pass(10 * MINUTE);
    for (const receipt of receipts) expect((await rig.states(rig.laptop, receipt))[0]).not.toBe('expired');
    await rig.start(rig.phone);
    await rig.pass(5 * MINUTE);
    for (const receipt of receipts) expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    expect(await rig.payloads(rig.phone)).toHaveLength(4);
  });

  it('stays visible for a week after it ended, and is then forgotten', async () => {
    const rig = await Rig.met();
    const receipt = await rig.send(rig.laptop, rig.phone, { payload: text('x'), id });
    await rig.pass(6 * DAY);
    await rig.restart(rig.laptop);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    await rig.pass(26 * HOUR);
    expect(await rig.states(rig.laptop, receipt)).toEqual([]);
  });
});

describe('the outbox', () => {
  it('refuses what it has no room for, and keeps what it has', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.laptop);
    await rig.laptop.withStore(async (store) => {
      const [pair, message] = [await store.read('pair', rig.phone.id), new Uint8Array(16).fill(1)];
      const stream = pair?.outgoing?.id ?? new Uint8Array(16).fill(2);
      const outgoing = pair?.outgoing ?? beginStream(stream);
      const to = { device: rig.phone.id, stream, number: outgoing.next, run: null, end: null, over: false };
      const labels = { type: 't', thread: null, group: null };
      await store.commit([
        {
          kind: 'lot',
          key: '999',
          put: {
            run: new Uint8Array(8),
            messages: [
              {
                id: message,
                sentAt: 0,
                expiresAt: 1e15,
                ...labels,
                bytes: 1024 * 1024 * 1024 - 10,
                to: [{ ...to, mayHaveArrived: false, reason: null }],
              },
            ],
          },
        },
        { kind: 'goods', key: '999', put: [text('not as large as it says')] },
        ...(pair === undefined
          ? []
          : [
              {
                kind: 'pair',
                key: rig.phone.id,
                put: { ...pair, outgoing: { ...outgoing, next: outgoing.next + 1 } },
              } as const,
            ]),
      ]);
    });
    rig.post.fate = () => 'drop';
    await rig.start(rig.laptop);
    const to = [rig.phone.id];
    expect(await rig.laptop.messenger.send({ to, payload: new Uint8Array(11) })).toEqual({
      refused: 'outbox-full',
    });
    await rig.send(rig.laptop, rig.phone, { payload: new Uint8Array(10) });
    expect(rig.laptop.messenger.outbox()).toHaveLength(2);
  });
});
