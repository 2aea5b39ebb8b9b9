import { describe, expect, it } from 'vitest';
import {
  beginStream,
  isAhead,
  type OutgoingStream,
  runAt,
  settle,
  UNKNOWN_RUN,
  wasTaken,
} from '../../src/entities/outgoing-stream.ts';
import type { Line } from '../../src/entities/wire/items.ts';

const id = new Uint8Array(16).fill(1);
const other = new Uint8Array(16).fill(2);
const thisRun = new Uint8Array(8).fill(3);
const laterRun = new Uint8Array(8).fill(4);
const ours = (): Uint8Array => thisRun;
const stream: OutgoingStream = { id, next: 11, through: 4, throughRun: thisRun, offered: 8, published: 6 };

describe("the stream from Alice's laptop to her phone, at the laptop", () => {
  it('begins with number one', () => {
    expect(beginStream(id)).toEqual({
      id,
      next: 1,
      through: 0,
      throughRun: UNKNOWN_RUN,
      offered: 0,
      published: 0,
    });
  });

  it('is answered for up to what the phone says it has', () => {
    expect(settle(stream, { stream: id, through: 6, run: thisRun }, ours)).toEqual({
      settled: { ...stream, through: 6 },
    });
  });

  it('has been published and offered as far as it was answered for, whatever the broker said', () => {
    expect(settle(stream, { stream: id, through: 10, run: thisRun }, ours)).toEqual({
      settled: { ...stream, through: 10, offered: 10, published: 10 },
    });
  });

  it('learns nothing from an old answer, or one about another stream', () => {
    expect(settle(stream, { stream: id, through: 4, run: thisRun }, ours)).toBe('old');
    expect(settle(stream, { stream: id, through: 0, run: laterRun }, ours)).toBe('old');
    expect(settle(stream, { stream: other, through: 99, run: thisRun }, ours)).toBe('other-stream');
  });

  it('is an old copy where the phone has more than was sent, or something else under its number', () => {
    expect(settle(stream, { stream: id, through: 11, run: thisRun }, ours)).toBe('ahead');
    expect(settle(stream, { stream: id, through: 6, run: laterRun }, ours)).toBe('ahead');
    expect(settle(stream, { stream: id, through: 6, run: thisRun }, () => undefined)).toBe('ahead');
  });

  it('finds the same out from a hello', () => {
    const line: Line = [[thisRun, 1]];
    expect(isAhead(stream, { stream: id, through: 10, line }, ours)).toBe(false);
    expect(isAhead(stream, { stream: id, through: 11, line }, ours)).toBe(true);
    expect(isAhead(stream, { stream: other, through: 11, line }, ours)).toBe(false);
    expect(isAhead(stream, { stream: id, through: 6, line: [...line, [laterRun, 6]] }, ours)).toBe(true);
    expect(isAhead(stream, { stream: id, through: 6, line: [...line, [laterRun, 7]] }, ours)).toBe(false);
    expect(isAhead(stream, { stream: id, through: 4, line: [[laterRun, 1]] }, ours)).toBe(false);
    expect(isAhead(stream, { stream: id, through: 6, line: [] }, ours)).toBe(true);
  });

  it('knows which run gave a number, and so whether this very record was taken', () => {
    const line: Line = [
      [thisRun, 1],
      [laterRun, 5],
    ];
    expect(runAt(line, 4)).toBe(thisRun);
    expect(runAt(line, 5)).toBe(laterRun);
    expect(runAt([], 5)).toBeUndefined();
    const received = { stream: id, through: 7, line };
    expect(wasTaken(received, 4, thisRun)).toBe(true);
    expect(wasTaken(received, 6, thisRun)).toBe(false);
    expect(wasTaken(received, 6, laterRun)).toBe(true);
    expect(wasTaken(received, 8, laterRun)).toBe(false);
  });
});
