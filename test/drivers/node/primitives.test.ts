import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nobleHash, nobleMac } from '../../../src/adapters/noble/primitives.ts';
import { nodePrimitives, nodeStretch } from '../../../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../../../src/drivers/node/randomness.ts';
import { fromHex, toHex } from '../../../src/entities/bytes.ts';
import { utf8 } from '../../../src/entities/text.ts';

const bytes = (hex: string) => fromHex(hex) ?? new Uint8Array();

describe('the primitives of Node', () => {
  test('give the published values: SHA-256, HMAC (RFC 4231), AES-256-GCM (the GCM paper, case 14), scrypt (RFC 7914)', async () => {
    expect(toHex(nodePrimitives.hash(utf8('a'), utf8('bc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(toHex(nodePrimitives.mac(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    const job = { key: new Uint8Array(32), nonce: new Uint8Array(12), aad: new Uint8Array() };
    const [sealed] = await nodePrimitives.aead.seal([{ ...job, data: new Uint8Array(16) }]);
    expect(toHex(sealed ?? new Uint8Array())).toBe(
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
    );
    const stretched = await nodeStretch(utf8('pleaseletmein'), utf8('SodiumChloride'), {
      logN: 14,
      r: 8,
      p: 1,
    });
    expect(toHex(stretched)).toBe('7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2');
  });

  test('agree with plain script on any input', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array({ maxLength: 200 }), (a, b, key) => {
        expect(nodePrimitives.hash(a, b)).toEqual(nobleHash(a, b));
        expect(nodePrimitives.mac(key, a, b)).toEqual(nobleMac(key, a, b));
      }),
    );
  });

  test('open what they sealed and nothing else', async () => {
    const seven = bytes('07'.repeat(32));
    const job = { key: seven, nonce: bytes('01'.repeat(12)), aad: utf8('place') };
    const [sealed] = await nodePrimitives.aead.seal([{ ...job, data: utf8('content') }]);
    if (sealed === undefined) throw new Error('nothing was sealed');
    const variants = [
      { ...job, data: sealed },
      { ...job, data: sealed, aad: utf8('other place') },
      { ...job, data: sealed.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) },
      { ...job, data: sealed.subarray(0, 15) },
      { ...job, data: new Uint8Array() },
    ];
    const opened = await nodePrimitives.aead.open(variants);
    expect(opened).toEqual([utf8('content'), undefined, undefined, undefined, undefined]);
    expect(variants.map((variant) => nodePrimitives.cipher.open(variant))).toEqual(opened);
  });
});

test('randomness comes in any length and differs', () => {
  expect(nodeRandomness(0)).toHaveLength(0);
  expect(nodeRandomness(200_000)).toHaveLength(200_000);
  expect(nodeRandomness(16)).not.toEqual(nodeRandomness(16));
  expect(
    nodeRandomness(200_000)
      .subarray(-16)
      .some((byte) => byte !== 0),
  ).toBe(true);
});
