import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/entities/bytes.ts';
import { parseAgreementKey, parseDeviceKeys, parseSigningKey } from '../../src/entities/keys.ts';
import { LOW_ORDER_ED25519, LOW_ORDER_X25519 } from '../../src/entities/low-order-keys.ts';
import { lowOrderEd25519, lowOrderX25519 } from '../low-order-keys.ts';

const P = 2n ** 255n - 19n;
const TOP_BIT = 2n ** 255n;
const mod = (x: bigint): bigint => ((x % P) + P) % P;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base); exponent > 0n; exponent >>= 1n, square = mod(square * square)) {
    if (exponent & 1n) result = mod(result * square);
  }
  return result;
}

const inverse = (x: bigint): bigint => power(x, P - 2n);
const D = mod(-121665n * inverse(121666n));

function bytes(hex: string): Uint8Array {
  const decoded = fromHex(hex);
  if (decoded === undefined) throw new Error(`not hexadecimal: ${hex}`);
  return decoded;
}

const toNumber = (hex: string): bigint => BigInt(`0x${toHex(bytes(hex).reverse())}`);
const toEncoding = (x: bigint): string => toHex(bytes(x.toString(16).padStart(64, '0')).reverse());

/** Doubles (X : Z) on Curve25519 or its twist three times; a point of low order ends at infinity, Z = 0. */
function hasLowOrderX25519(encoding: string): boolean {
  let x = mod(toNumber(encoding) % TOP_BIT);
  let z = 1n;
  for (let i = 0; i < 3; i++) {
    const sum = mod((x + z) ** 2n);
    const difference = mod((x - z) ** 2n);
    const product = sum - difference;
    x = mod(sum * difference);
    z = mod(product * (difference + mod(121666n * product)));
  }
  return z === 0n;
}

/** Doubles the point three times on edwards25519; undefined where the bytes are no point at all. */
function hasLowOrderEd25519(encoding: string): boolean | undefined {
  let y = mod(toNumber(encoding) % TOP_BIT);
  const square = mod((y * y - 1n) * inverse(mod(D * y * y + 1n)));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x) !== square) x = mod(x * power(2n, (P - 1n) / 4n));
  if (mod(x * x) !== square) return undefined;
  for (let i = 0; i < 3; i++) {
    const cross = mod(D * x * x * y * y);
    [x, y] = [mod(2n * x * y * inverse(mod(1n + cross))), mod((y * y + x * x) * inverse(mod(1n - cross)))];
  }
  return x === 0n && y === 1n;
}

/** Every other way to write a number that has a second one: those from p up, and those with the sign bit. */
const secondEncodings = Array.from({ length: 19 }, (_, k) => P + BigInt(k)).flatMap((x) => [x, x + TOP_BIT]);

describe('the published lists of keys of low order', () => {
  it('hold keys that arithmetic finds to be of low order', () => {
    expect(lowOrderX25519).toHaveLength(14);
    expect(lowOrderEd25519).toHaveLength(14);
    for (const { key } of lowOrderX25519) expect(hasLowOrderX25519(key), key).toBe(true);
    for (const { key } of lowOrderEd25519) expect(hasLowOrderEd25519(key), key).toBe(true);
  });

  it('are complete where a number has two encodings', () => {
    const x25519 = new Set(lowOrderX25519.map(({ key }) => key));
    const ed25519 = new Set(lowOrderEd25519.map(({ key }) => key));
    for (const x of secondEncodings) {
      const encoding = toEncoding(x);
      expect(x25519.has(encoding), encoding).toBe(hasLowOrderX25519(encoding));
      expect(ed25519.has(encoding), encoding).toBe(hasLowOrderEd25519(encoding) ?? false);
    }
  });

  it('are the ones that the parsers go by', () => {
    const withoutTopBit = lowOrderX25519.map(({ key }) => toEncoding(toNumber(key) % TOP_BIT));
    expect(new Set(LOW_ORDER_X25519)).toEqual(new Set(withoutTopBit));
    expect(new Set(LOW_ORDER_ED25519)).toEqual(new Set(lowOrderEd25519.map(({ key }) => key)));
  });
});

describe('a public key from outside', () => {
  const base = bytes(`09${'00'.repeat(31)}`);
  const basePoint = bytes(`58${'66'.repeat(31)}`);

  it('is taken where it is sound, and copied', () => {
    expect(parseAgreementKey(base)).toEqual({ ok: base });
    expect(parseSigningKey(basePoint)).toEqual({ ok: basePoint });
    const original = basePoint.slice();
    const parsed = parseDeviceKeys(original, base);
    original.fill(0);
    expect(parsed).toEqual({ ok: { signing: basePoint, agreement: base } });
  });

  for (const { key, comment } of lowOrderX25519) {
    it(`is refused as an agreement key of low order: ${comment}`, () => {
      expect(parseAgreementKey(bytes(key))).toEqual({ refused: 'key-low-order' });
      expect(parseDeviceKeys(basePoint, bytes(key))).toEqual({ refused: 'key-low-order' });
    });
  }

  for (const { key, comment } of lowOrderEd25519) {
    it(`is refused as a signing key of low order: ${comment}`, () => {
      expect(parseSigningKey(bytes(key))).toEqual({ refused: 'key-low-order' });
      expect(parseDeviceKeys(bytes(key), base)).toEqual({ refused: 'key-low-order' });
    });
  }

  it('is refused in every second encoding of its number', () => {
    for (const x of secondEncodings) {
      expect(parseAgreementKey(bytes(toEncoding(x)))).toHaveProperty('refused');
      expect(parseSigningKey(bytes(toEncoding(x)))).toHaveProperty('refused');
    }
    const topBitSet = base.slice();
    topBitSet[31] = 0x80;
    expect(parseAgreementKey(topBitSet)).toEqual({ refused: 'key-malformed' });
  });

  it('is taken up to the largest number that has one encoding', () => {
    expect(parseAgreementKey(bytes(toEncoding(P - 2n)))).toHaveProperty('ok');
    expect(parseSigningKey(bytes(toEncoding(P - 2n)))).toHaveProperty('ok');
  });

  it('is refused at any length but 32 bytes', () => {
    const wrongLength = fc.uint8Array({ maxLength: 100 }).filter((key) => key.length !== 32);
    fc.assert(
      fc.property(wrongLength, (key) => {
        expect(parseAgreementKey(key)).toEqual({ refused: 'key-malformed' });
        expect(parseSigningKey(key)).toEqual({ refused: 'key-malformed' });
      }),
    );
  });
});
