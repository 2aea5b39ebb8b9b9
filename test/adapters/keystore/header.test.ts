import { encode, rfc8949EncodeOptions } from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHeader } from '../../../src/adapters/keystore/header.ts';
import { isBearable, type UnlockSecret } from '../../../src/adapters/keystore/slot.ts';
import { type HeaderParts, UnlockedHeader } from '../../../src/adapters/keystore/unlocked-header.ts';
import { nodePrimitives, nodeStretch } from '../../../src/drivers/node/primitives.ts';
import { concat } from '../../../src/entities/bytes.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { codeOf, countingRandomness } from '../../support/keystore.ts';

const { hash } = nodePrimitives;
const unlock: UnlockSecret = { kind: 'key-file', secret: new Secret(new Uint8Array(32).fill(1)) };

async function saved(): Promise<{ bytes: Uint8Array; parts: HeaderParts }> {
  let bytes = new Uint8Array();
  const parts: HeaderParts = {
    primitives: nodePrimitives,
    stretch: nodeStretch,
    randomness: countingRandomness(),
    replace: async (written) => {
      bytes = Uint8Array.from(written);
    },
  };
  await (await UnlockedHeader.create(parts, 1, unlock)).save();
  return { bytes, parts };
}

/** As Mallory would: the bytes changed, and the checksum made right again. */
function forged(bytes: Uint8Array, change: (signed: Uint8Array) => Uint8Array): Uint8Array {
  const signed = change(bytes.slice(0, -32));
  return concat(signed, hash(signed));
}

const parsed = (bytes: Uint8Array) => codeOf((async () => parseHeader(hash, bytes))());

describe('the header', () => {
  test('altered anywhere by somebody without the secret does not open the store', async () => {
    const { bytes, parts } = await saved();
    for (let at = 0; at < bytes.length - 32; at++) {
      const altered = forged(bytes, (signed) => signed.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      let outcome: string | undefined;
      try {
        outcome =
          (await UnlockedHeader.unlock(parts, altered, 9, unlock)) === undefined ? 'wrong secret' : 'open';
      } catch (error) {
        outcome = error instanceof MeshError ? error.code : 'bug';
      }
      expect(['wrong secret', 'store-damaged', 'store-unknown-version']).toContain(outcome);
    }
  });

  test('of a newer format or schema says so', async () => {
    const { bytes, parts } = await saved();
    const newer = forged(bytes, (signed) => concat(utf8('trusted-mesh store 2\n'), signed.subarray(21)));
    expect(await parsed(newer)).toBe('store-unknown-version');
    expect(await codeOf(UnlockedHeader.unlock(parts, bytes, 0, unlock))).toBe('store-unknown-version');
  });

  test('made of any bytes is damaged, even with a right checksum', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(await parsed(bytes)).toBe('store-damaged');
        const body = concat(utf8('trusted-mesh store 1\n'), bytes);
        expect(await parsed(concat(body, hash(body)))).toBe('store-damaged');
      }),
    );
  });

  test('asks for no more than can be borne, and is refused before it is paid', async () => {
    const slot = (cost: unknown) => [1, 'passphrase', new Uint8Array(16), cost, new Uint8Array(48)];
    const headerWith = (cost: unknown) => {
      const body = encode([new Uint8Array(16), 1, [slot(cost)]], rfc8949EncodeOptions);
      const signed = concat(utf8('trusted-mesh store 1\n'), body, new Uint8Array(32));
      return concat(signed, hash(signed));
    };
    expect(await parsed(headerWith([17, 8, 1]))).toBeUndefined();
    for (const cost of [
      [31, 8, 1],
      [20, 32, 1],
      [17, 8, 1000],
      [9, 8, 1],
      [17.5, 8, 1],
      [17, 0, 1],
      [17, 8],
      null,
    ]) {
      expect([cost, await parsed(headerWith(cost))]).toEqual([cost, 'store-damaged']);
    }
    expect(isBearable({ logN: 17, r: 8, p: 1 })).toBe(true);
    expect(isBearable({ logN: 20, r: 8, p: 8 })).toBe(false);
  });
});
