import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arrive,
  type IncomingStream,
  NO_RUN,
  REMEMBERED_OUTCOMES,
} from '../../src/entities/incoming-stream.ts';
import { type BatchItem, MAX_LINE } from '../../src/entities/wire/items.ts';
import type { StreamRecord } from '../../src/entities/wire/records.ts';

const id = new Uint8Array(16).fill(1);
const run = new Uint8Array(8).fill(3);
const laterRun = new Uint8Array(8).fill(4);

function content(number: number): StreamRecord {
  const payload = new TextEncoder().encode(String(number));
  return { kind: 'content', id: new Uint8Array(16), sentAt: 0, type: '', thread: null, group: null, payload };
}

function batchOf(first: number, count: number, change: Partial<BatchItem> = {}): BatchItem {
  const records = Array.from({ length: count }, (_, i) => content(first + i));
  return {
    kind: 'batch',
    stream: id,
    run,
    after: new Uint8Array(0),
    moved: false,
    low: 1,
    first,
    records,
    ...change,
  };
}

const numberIn = (record: StreamRecord): number =>
  record.kind === 'content' ? Number(new TextDecoder().decode(record.payload)) : Number.NaN;

/** The stream after batches that must all be taken. */
function streamAfter(...batches: readonly BatchItem[]): IncomingStream {
  let stream: IncomingStream | undefined;
  for (const batch of batches) {
    const arrival = arrive(stream, [], batch);
    if (typeof arrival === 'string') throw new Error(`not taken: ${arrival}`);
    stream = arrival.stream;
  }
  if (stream === undefined) throw new Error('no batches');
  return stream;
}

describe("the stream from Alice's laptop to her phone, at the phone", () => {
  it('takes each number once and in order, whatever the broker drops, doubles, and delivers in which order', () => {
    const attempt = fc.record({
      first: fc.integer({ min: 1, max: 40 }),
      count: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(attempt, { maxLength: 120 }), fc.boolean(), (attempts, sweep) => {
        const most = 40;
        const taken: number[] = [];
        let stream: IncomingStream | undefined;
        // The sender's lowest number is what was acknowledged last, which may be long ago.
        let low = 1;
        const deliver = (first: number, count: number): void => {
          const held = Math.min(first, low);
          const arrival = arrive(
            stream,
            [],
            batchOf(first, Math.min(count, most - first + 1), { low: held }),
          );
          const through = stream?.through ?? 0;
          const last = first + Math.min(count, most - first + 1) - 1;
          if (last <= through) expect(arrival).toBe('duplicate');
          else if (first > through + 1) expect(arrival).toBe('gap');
          if (typeof arrival === 'string') return;
          expect(arrival.lost).toBe(0);
          expect(arrival.first).toBe(through + 1);
          taken.push(...arrival.taken.map(numberIn));
          stream = arrival.stream;
          if (stream.through % 3 === 0) low = stream.through + 1;
        };
        for (const { first, count } of attempts) deliver(first, count);
        if (sweep) for (let n = 1; n <= most; n += 4) deliver(n, 4);
        expect(taken).toEqual(Array.from({ length: taken.length }, (_, i) => i + 1));
        if (sweep) expect(taken).toHaveLength(most);
      }),
      { numRuns: 500 },
    );
  });

  it('skips what the sender no longer holds, and says how much that was', () => {
    const arrival = arrive(streamAfter(batchOf(1, 3)), [], batchOf(10, 2, { low: 8 }));
    expect(arrival).toBe('gap');
    const next = arrive(streamAfter(batchOf(1, 3)), [], batchOf(8, 2, { low: 8 }));
    if (typeof next === 'string') throw new Error(next);
    expect({ lost: next.lost, first: next.first, through: next.stream.through }).toEqual({
      lost: 4,
      first: 8,
      through: 9,
    });
  });

  it('remembers of numbers that were jumped over that nobody gave them', () => {
    const jumped = streamAfter(batchOf(1, 3), batchOf(8, 2, { low: 8 }));
    expect(jumped.line).toEqual([
      [run, 1],
      [NO_RUN, 4],
      [run, 8],
    ]);
    expect(arrive(jumped, [], batchOf(5, 1, { run: laterRun }))).toBe('duplicate');
  });

  it('misses nothing where numbers were given anew behind a hole', () => {
    const arrival = arrive(
      streamAfter(batchOf(1, 3)),
      [],
      batchOf(8, 2, { low: 8, moved: true, run: laterRun }),
    );
    if (typeof arrival === 'string') throw new Error(arrival);
    expect(arrival.lost).toBe(0);
  });

  it('takes only the new end of a batch that overlaps', () => {
    const arrival = arrive(streamAfter(batchOf(1, 3)), [], batchOf(2, 4));
    if (typeof arrival === 'string') throw new Error(arrival);
    expect(arrival.taken.map(numberIn)).toEqual([4, 5]);
  });

  it('refuses numbers that another life of the sender has used', () => {
    const stream = streamAfter(batchOf(1, 5), batchOf(6, 2, { run: laterRun }));
    expect(arrive(stream, [], batchOf(5, 4, { run: laterRun }))).toBe('conflict');
    expect(arrive(stream, [], batchOf(6, 9))).toBe('conflict');
    expect(arrive(stream, [], batchOf(3, 1, { run: laterRun }))).toBe('conflict');
    expect(arrive(stream, [], batchOf(3, 1))).toBe('duplicate');
  });

  it('refuses what builds on a number that another life of the sender has given', () => {
    const stream = streamAfter(batchOf(1, 5));
    expect(arrive(stream, [], batchOf(6, 1, { run: laterRun, after: laterRun }))).toBe('conflict');
    for (const after of [run, new Uint8Array(0)]) {
      expect(arrive(stream, [], batchOf(6, 1, { run: laterRun, after }))).toMatchObject({
        first: 6,
        lost: 0,
      });
    }
  });

  it('never goes back to a stream that was replaced', () => {
    const replaced = new Uint8Array(16).fill(9);
    expect(arrive(streamAfter(batchOf(1, 1)), [replaced], batchOf(1, 1, { stream: replaced }))).toBe('stale');
  });

  it('begins anew with a stream that is new', () => {
    const fresh = new Uint8Array(16).fill(9);
    const arrival = arrive(streamAfter(batchOf(1, 9)), [], batchOf(1, 1, { stream: fresh }));
    if (typeof arrival === 'string') throw new Error(arrival);
    expect(arrival.stream).toMatchObject({ id: fresh, through: 1 });
  });

  it('remembers which numbers held nothing and which it could not take, the newest of each', () => {
    const records: StreamRecord[] = [content(1), { kind: 'skip' }, { kind: 'unknown', number: 7 }];
    const stream = streamAfter(batchOf(1, 3, { records }));
    expect(stream).toMatchObject({ through: 3, skipped: [2], refused: [3] });
    const later = arrive(stream, [], batchOf(4, 1, { low: 3 }));
    if (typeof later === 'string') throw new Error(later);
    expect(later.stream).toMatchObject({ low: 3, skipped: [2], refused: [3] });
    const skips: StreamRecord[] = Array.from({ length: 600 }, () => ({ kind: 'skip' }));
    const half = batchOf(1, 600, { records: skips });
    const many = streamAfter(half, batchOf(601, 600, { records: skips }));
    expect(many.skipped).toHaveLength(REMEMBERED_OUTCOMES);
    expect(many.skipped.at(-1)).toBe(1200);
  });

  it('has a line of bounded length, however often the sender starts anew', () => {
    let stream = streamAfter(batchOf(1, 1));
    for (let n = 2; n < 200; n++) {
      const arrival = arrive(stream, [], batchOf(n, 1, { run: new Uint8Array(8).fill(n) }));
      if (typeof arrival === 'string') throw new Error(arrival);
      stream = arrival.stream;
    }
    expect(stream.line).toHaveLength(MAX_LINE);
  });
});
