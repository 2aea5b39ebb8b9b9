import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pad, sizeClass, unpad } from '../../../src/entities/wire/padding.ts';

describe('padding', () => {
  it('makes nothing smaller than 256 bytes', () => {
    expect(sizeClass(0)).toBe(256);
    expect(pad(new Uint8Array(0))).toHaveLength(256);
  });

  it('costs at most twelve parts in a hundred above one KiB', () => {
    for (let length = 1025; length <= 160 * 1024; length++) {
      const size = sizeClass(length);
      if (size < length || size > length * 1.12) throw new Error(`${length} becomes ${size}`);
    }
  });

  it('has few classes, each the class of itself, in the order of the lengths', () => {
    const classes = new Set<number>();
    let before = 0;
    for (let length = 0; length <= 160 * 1024; length++) {
      const size = sizeClass(length);
      if (size < before) throw new Error(`the class shrinks at ${length}`);
      before = size;
      classes.add(size);
    }
    for (const size of classes) expect(sizeClass(size)).toBe(size);
    expect(classes.size).toBeLessThan(130);
  });

  it('comes off again, and only where it is exactly what was put on', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(), (text, place) => {
        const padded = pad(text);
        expect(unpad(padded)).toEqual(text);
        expect(unpad(padded.subarray(0, place % padded.length))).toBeUndefined();
        expect(unpad(new Uint8Array([...padded, 0]))).toBeUndefined();
        const behind = 4 + text.length + (place % (padded.length - text.length));
        if (behind < padded.length) {
          padded[behind] = 1;
          expect(unpad(padded)).toBeUndefined();
        }
      }),
    );
  });
});
