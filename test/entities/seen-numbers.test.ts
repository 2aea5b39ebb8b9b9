import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hasSeen,
  MAX_RUNS,
  markSeen,
  nothingSeen,
  type SeenNumbers,
} from '../../src/entities/seen-numbers.ts';

const markAll = (numbers: readonly number[]): SeenNumbers => numbers.reduce(markSeen, nothingSeen);

describe('seen numbers', () => {
  it('know what was seen and nothing else, in any order, while there is room', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 60 }), (numbers) => {
        const seen = markAll(numbers);
        for (let n = 1; n <= 121; n++) expect(hasSeen(seen, n)).toBe(numbers.includes(n));
      }),
    );
  });

  it('are the same whatever the order and however often', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 90 })), (numbers) => {
        const sorted = [...numbers, ...numbers].sort((a, b) => a - b);
        expect(markAll(numbers)).toEqual(markAll(sorted));
      }),
    );
  });

  it('never forget a number that was seen, however many gaps there are', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { maxLength: 400 }), (numbers) => {
        let seen = nothingSeen;
        for (const number of numbers) {
          seen = markSeen(seen, number);
          expect(hasSeen(seen, number)).toBe(true);
        }
        expect(seen.length).toBeLessThanOrEqual(MAX_RUNS);
        for (const number of numbers) expect(hasSeen(seen, number)).toBe(true);
      }),
    );
  });

  it('count as seen what lies below the oldest gap that there is room for', () => {
    const seen = markAll(Array.from({ length: MAX_RUNS + 1 }, (_, i) => 10 + i * 2));
    expect(hasSeen(seen, 9)).toBe(true);
    expect(hasSeen(seen, 11)).toBe(true);
    expect(hasSeen(seen, 13)).toBe(false);
  });

  it('keep their runs ascending and apart', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 300 }), (numbers) => {
        const seen = markAll(numbers);
        seen.forEach(([first, last], i) => {
          expect(first).toBeLessThanOrEqual(last);
          const next = seen[i + 1];
          if (next !== undefined) expect(next[0]).toBeGreaterThan(last + 1);
        });
      }),
    );
  });
});
