import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABORT_REASONS, decodeAbort, encodeAbort } from '../../../src/entities/pairing/abort.ts';
import {
  decodeMessage,
  decodeOpening,
  encodeMessage,
  MAX_PART_BYTES,
  partsOf,
  unpadMessage,
} from '../../../src/entities/pairing/messages.ts';
import { pairingCode, parseCode, showCode } from '../../../src/entities/pairing/transcript.ts';
import { encode } from '../../../src/entities/wire/cbor.ts';
import { filled, hash, must } from '../../wire-vectors/cast.ts';

const STEPS = [1, 2, 3, 4, 5, 6] as const;
const junk = fc.uint8Array({ maxLength: 300 });

describe('the decoders of a pairing', () => {
  it('refuse whatever is no message, and never throw', () => {
    fc.assert(
      fc.property(fc.constantFrom(...STEPS), junk, (step, bytes) => {
        expect(decodeMessage(step, bytes)).toHaveProperty('refused');
        expect(decodeAbort(bytes)).toHaveProperty('refused');
        unpadMessage(bytes);
        decodeOpening(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('refuse arrays of anything, or read them as they were written', () => {
    const value = fc.oneof(
      fc.nat(300),
      fc.uint8Array({ maxLength: 3 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      fc.constant(null),
      fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...STEPS), fc.array(value, { maxLength: 8 }), (step, rest) => {
        const bytes = encode([step, ...rest]);
        const decoded = decodeMessage(step, bytes);
        if ('ok' in decoded) expect(encodeMessage(decoded.ok)).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('an abort', () => {
  it('names each reason by a number of its own', () => {
    const signature = filled(64, 1);
    for (const reason of ABORT_REASONS) {
      expect(must(decodeAbort(encodeAbort({ reason, signature }))).reason).toBe(reason);
    }
  });

  it('keeps the number of a reason that a later version knows', () => {
    const abort = must(decodeAbort(encode([77, filled(64, 1)])));
    expect(abort).toMatchObject({ number: 77, reason: 'other' });
    expect(decodeAbort(encode([256, filled(64, 1)]))).toEqual({ refused: 'pairing-malformed' });
  });
});

describe('a log in parts', () => {
  it('keeps its order, and each part within the limit', () => {
    const sizes = [20_000, 20_000, 20_000, 32_768, 32_768, 5, 5];
    const entries = sizes.map((size, i) => filled(size, i));
    const parts = partsOf(entries);
    expect(parts.flat()).toEqual(entries);
    for (const part of parts) {
      expect(part.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(MAX_PART_BYTES);
    }
    expect(parts.map(({ length }) => length)).toEqual([2, 1, 1, 3]);
    const proof = filled(32, 1);
    for (const [index, part] of parts.entries()) {
      const message = { step: 4, index, total: parts.length, proof, entries: part } as const;
      expect(must(decodeMessage(4, encodeMessage(message)))).toEqual(message);
    }
  });

  it('has one part even where there is nothing to send, and no part with too many entries', () => {
    expect(partsOf([])).toEqual([[]]);
    const parts = partsOf(Array.from({ length: 1025 }, () => filled(1, 1)));
    expect(parts.map(({ length }) => length)).toEqual([512, 512, 1]);
  });
});

describe('a code', () => {
  it('has eight digits, zeros in front and all', () => {
    for (let i = 0; i < 300; i++) expect(pairingCode(hash, filled(32, i & 0xff))).toMatch(/^\d{8}$/);
  });

  it('is typed with or without what is shown between its halves', () => {
    expect(showCode('01234567')).toBe('0123 4567');
    for (const typed of ['01234567', '0123 4567', ' 0123-4567\n']) expect(parseCode(typed)).toBe('01234567');
  });

  it('is none with another number of digits, or something else in it', () => {
    for (const typed of ['', '1234567', '123456789', '1234567a', '１２３４５６７８', '0'.repeat(100)]) {
      expect(parseCode(typed)).toBeUndefined();
    }
  });
});
