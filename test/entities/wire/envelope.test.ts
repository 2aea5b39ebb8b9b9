import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEnvelope, encodeEnvelope } from '../../../src/entities/wire/envelope.ts';
import { anyEnvelope } from './arbitraries.ts';

const sealWith =
  (length: number) =>
  (covered: Uint8Array): Uint8Array =>
    new Uint8Array(length).fill(covered.length & 0xff);

describe('an envelope', () => {
  it('comes out of its bytes as it went in, with exactly the bytes before its authenticator covered', () => {
    fc.assert(
      fc.property(anyEnvelope, (unsealed) => {
        const length = unsealed.kind === 'sealed' ? 16 : 64;
        let covered: Uint8Array = new Uint8Array(0);
        const packet = encodeEnvelope(unsealed, (bytes) => {
          covered = bytes.slice();
          return sealWith(length)(bytes);
        });
        const seal = sealWith(length)(covered);
        const envelope =
          unsealed.kind === 'sealed' ? { ...unsealed, mac: seal } : { ...unsealed, signature: seal };
        expect(decodeEnvelope(packet)).toEqual({ ok: { envelope, covered } });
        expect(packet.length).toBe(covered.length + length);
      }),
      { numRuns: 500 },
    );
  });

  it('is refused or read, and never throws, when any of its bytes change', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.nat(), fc.integer({ min: 1, max: 255 }), (unsealed, place, change) => {
        const packet = encodeEnvelope(unsealed, sealWith(unsealed.kind === 'sealed' ? 16 : 64));
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        expect('ok' in decoded || typeof decoded.refused === 'string').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('has one encoding: what was read is written again as the same bytes', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.nat(), fc.integer({ min: 1, max: 255 }), (unsealed, place, change) => {
        const packet = encodeEnvelope(unsealed, sealWith(unsealed.kind === 'sealed' ? 16 : 64));
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        if ('refused' in decoded) return;
        const { envelope } = decoded.ok;
        const seal = envelope.kind === 'sealed' ? envelope.mac : envelope.signature;
        expect(encodeEnvelope(envelope, () => seal)).toEqual(packet);
      }),
      { numRuns: 2000 },
    );
  });
});
