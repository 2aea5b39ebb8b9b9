import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemFields, readItem } from '../../../src/entities/wire/items.ts';
import { pad } from '../../../src/entities/wire/padding.ts';
import { decodeCore, decodeParcel, encodeCore, encodeParcel } from '../../../src/entities/wire/parcel.ts';
import { anyItem, anyParcel, bytes } from './arbitraries.ts';

describe('an item', () => {
  it('comes out of its fields as it went in', () => {
    fc.assert(
      fc.property(anyItem, (item) => {
        expect(readItem(itemFields(item))).toEqual({ ok: item });
      }),
    );
  });

  it('of an unknown kind is passed over, and is never sent', () => {
    expect(readItem([77, 'anything'])).toEqual({ ok: { kind: 'unknown' } });
    expect(() => itemFields({ kind: 'unknown' })).toThrow();
  });
});

describe('a parcel', () => {
  it('comes out of its bytes as it went in, padded to its size class', () => {
    fc.assert(
      fc.property(anyParcel, (parcel) => {
        expect(decodeParcel(encodeParcel(parcel))).toEqual({ ok: parcel });
      }),
    );
  });

  it('is refused or read, and never throws, when any of its bytes change', () => {
    fc.assert(
      fc.property(anyParcel, fc.nat(), fc.integer({ min: 1, max: 255 }), (parcel, place, change) => {
        const padded = encodeParcel(parcel);
        const at = place % padded.length;
        padded[at] = (padded[at] ?? 0) ^ change;
        const decoded = decodeParcel(padded);
        expect('ok' in decoded || typeof decoded.refused === 'string').toBe(true);
        if ('ok' in decoded && decoded.ok.items.every(isKnown))
          expect(encodeParcel(decoded.ok)).toEqual(padded);
      }),
      { numRuns: 2000 },
    );
  });

  it('is read as nothing else than a parcel, whatever text stands in its place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (text) => {
        expect('refused' in decodeParcel(pad(text))).toBe(true);
      }),
    );
  });
});

function isKnown(item: { readonly kind: string }): boolean {
  if (item.kind === 'unknown') return false;
  if (!('records' in item) || !Array.isArray(item.records)) return true;
  return item.records.every((record: { readonly kind: string }) => record.kind !== 'unknown');
}

describe('a core', () => {
  it('comes out of its bytes as it went in, with the parcel inside or beside', () => {
    fc.assert(
      fc.property(bytes(16), fc.uint8Array({ maxLength: 4096 }), (salt, inside) => {
        expect(decodeCore(encodeCore(salt, { inside }))).toEqual({ ok: { inside } });
      }),
    );
    fc.assert(
      fc.property(bytes(16), bytes(32), bytes(32), bytes(32), (salt, key, digest, context) => {
        const core = { key, digest, context };
        expect(decodeCore(encodeCore(salt, core))).toEqual({ ok: core });
      }),
    );
  });

  it('begins with its salt, so that two cores differ from their first block on', () => {
    const inside = pad(new Uint8Array(10));
    const [one, two] = [1, 2].map((byte) => encodeCore(new Uint8Array(16).fill(byte), { inside }));
    expect(one?.subarray(2, 18)).toEqual(new Uint8Array(16).fill(1));
    expect(two?.subarray(2, 18)).toEqual(new Uint8Array(16).fill(2));
  });
});
