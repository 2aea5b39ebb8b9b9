import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeBase64, strictBase64 } from '../../../src/drivers/node/base64.ts';
import { fromBase64 } from '../../../src/entities/bytes.ts';

describe("the platform's base64", () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(strictBase64(nodeBase64.encode(bytes))).toEqual(bytes);
      }),
    );
  });

  it('takes from outside what a strict decoder takes, and nothing else', () => {
    const nearly = fc.stringMatching(/^[A-Za-z0-9+/=_ \n-]{0,12}$/);
    fc.assert(
      fc.property(nearly, (text) => {
        expect(strictBase64(text)).toEqual(fromBase64(text));
      }),
      { numRuns: 5000 },
    );
  });
});
