import { describe, expect, it } from 'vitest';
import { createCopies, together } from '../../../src/usecases/messaging/copies.ts';

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('copies of what callers hand over', () => {
  it.each([0, 1, 100, 4096, 4097, 70_000])('are not changed with it: %i bytes', (length) => {
    const copyOf = createCopies();
    const given = Buffer.alloc(length, 7);
    const copies = [copyOf(given), copyOf(given)];
    given.fill(0);
    for (const copy of copies) expect(copy).toEqual(filled(length, 7));
  });

  it('do not lie over one another, however many there are', () => {
    const copyOf = createCopies();
    const copies = Array.from({ length: 300 }, (_, i) => copyOf(filled((i * 37) % 5000, i % 251)));
    copies.forEach((copy, i) => {
      expect(copy).toEqual(filled((i * 37) % 5000, i % 251));
    });
  });

  it('share memory that is exactly as large as they are, where they are kept together', () => {
    const copyOf = createCopies();
    const given = [3, 0, 4096, 100, 9000].map((length, i) => copyOf(filled(length, i + 1)));
    const kept = together(given);
    expect(kept).toEqual(given);
    for (const small of [0, 1, 2, 3]) expect(kept[small]?.buffer.byteLength).toBe(3 + 4096 + 100);
    expect(kept[4]?.buffer.byteLength).toBe(9000);
  });
});
