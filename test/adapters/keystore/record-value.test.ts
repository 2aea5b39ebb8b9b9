import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Undecodable } from '../../../src/adapters/keystore/compact-bytes.ts';
import { decodeValue, encodeValue } from '../../../src/adapters/keystore/record-value.ts';

/** Few names and few values, so that objects are often alike and fields often the same. */
const name = fc.constantFrom('a', 'b', 'id', 'payload', 'valueOf');
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, false, 0, 1, -0, -1, 0.5, Number.NaN, '', 'text', '\uFEFFmarked'),
    fc.double(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }) as Arbitrary<unknown>,
  ),
}));

describe('the value of a record', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decodeValue(encodeValue(value))).toStrictEqual(value);
      }),
      { numRuns: 3000 },
    );
  });

  it('is not what another field of the same object was, nor what the field was in an object with other fields', () => {
    const value = [
      { a: 1, b: 1 },
      { b: 1, a: 2 },
      { a: 2, b: { a: 2, b: 3 } },
      { a: 2, b: { a: 2, b: 3 } },
      { a: 0, b: -0 },
      { a: -0, b: 0 },
      { a: null, b: '' },
      { a: [], b: [] },
      { a: [], b: [] },
    ];
    expect(decodeValue(encodeValue(value))).toStrictEqual(value);
  });

  it('takes a few bytes for each of many messages that differ in little', () => {
    const message = (id: number): object => ({
      id: new Uint8Array(16).fill(id),
      type: 'text/plain',
      sentAt: 1_700_000_000_000,
      to: [{ device: 'rrgt2hzhmiucy4c7qyt7reaujp2fflcx', number: 1000 + id, end: null }],
    });
    const many = Array.from({ length: 100 }, (_, id) => message(id));
    expect(encodeValue(many).length).toBeLessThan(100 * 40);
  });

  it('is a copy: nothing that is read shares memory with what was written, and an id holds no more than itself', () => {
    const bytes = new Uint8Array(100).fill(7);
    const encoded = encodeValue({ id: bytes.subarray(0, 16), large: new Uint8Array(10_000) });
    bytes.fill(0);
    const read = decodeValue(encoded) as { readonly id: Uint8Array };
    expect(read.id).toEqual(new Uint8Array(16).fill(7));
    expect(read.id.buffer.byteLength).toBe(16);
  });

  it.each([
    ['nothing', undefined],
    ['a field without a value', { a: undefined }],
    ['a function', () => 1],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['half a character', ['\ud800']],
    ['half a character in a name', { '\udc00': 1 }],
    ['a field that would be the prototype', JSON.parse('{"__proto__": 1}')],
    ['a bigint', 1n],
  ])('is not %s', (_, value) => {
    expect(() => encodeValue(value)).toThrow('a record holds');
  });

  it('is nested as deep as it is read, and no deeper', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(decodeValue(encodeValue(nested(32)))).toEqual(nested(32));
    expect(() => encodeValue(nested(33))).toThrow('deeper');
    expect(() => decodeValue(new Uint8Array(1000).fill(7))).toThrow(Undecodable);
  });

  it('is read whole or not at all, whatever was changed in it', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), fc.nat(255), fc.nat(), (value, at, byte, end) => {
        const bytes = encodeValue(value);
        bytes[at % bytes.length] = byte;
        const damaged = bytes.subarray(0, bytes.length - (end % 3));
        try {
          decodeValue(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(Undecodable);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
