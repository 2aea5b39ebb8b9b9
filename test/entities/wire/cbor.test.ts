import * as library from 'cborg';
import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Caps, decode, encode, type Value } from '../../../src/entities/wire/cbor.ts';
import { arr, bin, head, map, num, raw, txt } from '../../wire-vectors/raw-cbor.ts';

const wide: Caps = { bytes: 100_000, depth: 16, items: 10_000 };

const { value: anyValue } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger().filter((n) => n > -Number.MAX_SAFE_INTEGER),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 30 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie('value'), {
      maxKeys: 5,
      noNullPrototype: true,
    }) as Arbitrary<Value>,
  ),
}));

/** What it makes of the bytes, where they are exactly what it would write, and a kind of value that we know. */
function readByLibrary(bytes: Uint8Array): Value | undefined {
  try {
    const value: Value = library.decode(bytes, { strict: true, rejectDuplicateMapKeys: true });
    const again = library.encode(value, library.rfc8949EncodeOptions);
    if (again.length !== bytes.length || again.some((byte, i) => byte !== bytes[i])) return undefined;
    return isOurs(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isOurs(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > -Number.MAX_SAFE_INTEGER;
  if (Array.isArray(value)) return value.every(isOurs);
  if (value instanceof Uint8Array || value === null) return true;
  if (typeof value === 'object') return Object.values(value).every(isOurs);
  return typeof value === 'string' || typeof value === 'boolean';
}

describe('CBOR', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decode(encode(value), wide)).toEqual({ ok: value });
      }),
    );
  });

  it('has one encoding for each value: whatever is read is written as the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const decoded = decode(bytes, wide);
        if ('ok' in decoded) expect(encode(decoded.ok)).toEqual(bytes);
      }),
      { numRuns: 20_000 },
    );
  });

  it('writes what a library writes by the same rules', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(encode(value)).toEqual(new Uint8Array(library.encode(value, library.rfc8949EncodeOptions)));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes what a library reads, and writes again as it was, and nothing else', () => {
    const few = fc.uint8Array({ maxLength: 10 });
    const damaged = fc.tuple(anyValue, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
      const bytes = encode(value);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(few, damaged), (bytes) => {
        const decoded = decode(bytes, wide);
        expect('ok' in decoded ? decoded.ok : undefined).toEqual(readByLibrary(bytes));
      }),
      { numRuns: 30_000 },
    );
  });

  it('refuses a map that names a key twice, or in another order than its own', () => {
    const entries = [
      [txt('a'), num(1)],
      [txt('a'), num(2)],
    ];
    expect(decode(map(...(entries as [Uint8Array, Uint8Array][])), wide)).toEqual({
      refused: 'cbor-malformed',
    });
    const turned = map([txt('b'), num(1)], [txt('a'), num(2)]);
    expect(decode(turned, wide)).toEqual({ refused: 'cbor-malformed' });
    expect(decode(map([txt('aa'), num(1)], [txt('b'), num(2)]), wide)).toEqual({ refused: 'cbor-malformed' });
  });

  it('refuses a text that begins with a byte order mark, which other decoders swallow', () => {
    for (const value of ['\uFEFF', '\uFEFFtext', ['\uFEFFtext'], { '\uFEFFkey': 1 }]) {
      expect(decode(encode(value as Value), wide)).toEqual({ refused: 'cbor-malformed' });
    }
    expect(decode(encode('text\uFEFF'), wide)).toEqual({ ok: 'text\uFEFF' });
  });

  it('hands out a copy of what is short, and a view of what is long', () => {
    const bytes = encode([new Uint8Array(64), new Uint8Array(65)]);
    const decoded = decode(bytes, wide);
    if ('refused' in decoded) throw new Error(decoded.refused);
    const [short, long] = decoded.ok as readonly Uint8Array[];
    expect(short?.buffer.byteLength).toBe(64);
    expect(long?.buffer).toBe(bytes.buffer);
  });

  it('has no fractions', () => {
    expect(() => encode(1.5)).toThrow('whole');
  });

  it('puts shorter map keys first, then by their bytes', () => {
    const expected = map([txt('b'), num(2)], [txt('aa'), num(1)]);
    expect(encode({ aa: 1, b: 2 })).toEqual(expected);
  });

  it('reads whole numbers up to 2^53 - 1 in both directions, and none beyond', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(decode(head(0, most), wide)).toEqual({ ok: most });
    expect(decode(head(0, most + 1), wide)).toEqual({ refused: 'cbor-malformed' });
    expect(decode(head(1, most - 1), wide)).toEqual({ ok: -most });
    expect(decode(head(1, most), wide)).toEqual({ refused: 'cbor-malformed' });
  });

  it('holds its caps exactly', () => {
    const nested = arr(arr(num(1)));
    expect(decode(nested, { ...wide, depth: 2 })).toEqual({ ok: [[1]] });
    expect(decode(nested, { ...wide, depth: 1 })).toEqual({ refused: 'cbor-too-deep' });
    expect(decode(nested, { ...wide, items: 3 })).toEqual({ ok: [[1]] });
    expect(decode(nested, { ...wide, items: 2 })).toEqual({ refused: 'cbor-too-large' });
    expect(decode(nested, { ...wide, bytes: 3 })).toEqual({ ok: [[1]] });
    expect(decode(nested, { ...wide, bytes: 2 })).toEqual({ refused: 'cbor-too-large' });
  });

  it('builds no objects with a prototype of their own from a map that asks for one', () => {
    const decoded = decode(map([txt('__proto__'), map([txt('admin'), num(1)])]), wide);
    if ('ok' in decoded) expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });

  it('refuses what promises more than there is without making room for it', () => {
    expect(decode(head(4, 2 ** 32), wide)).toEqual({ refused: 'cbor-malformed' });
    expect(decode(head(2, 2 ** 32), wide)).toEqual({ refused: 'cbor-malformed' });
    expect(decode(raw(0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), wide)).toEqual({
      refused: 'cbor-malformed',
    });
    expect(decode(bin(raw(1, 2)).subarray(0, 2), wide)).toEqual({ refused: 'cbor-malformed' });
  });

  it('is not driven into the end of the stack by what is nested without end', () => {
    const deep = new Uint8Array(90_000).fill(0x81);
    expect(decode(deep, wide)).toEqual({ refused: 'cbor-too-deep' });
  });
});
