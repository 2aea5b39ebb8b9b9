import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { authenticatorBytes, decodeEnvelope, encodeEnvelope } from '../../../src/entities/wire/envelope.ts';
import { anyEnvelope } from './arbitraries.ts';

const sealWith =
  (length: number) =>
  (covered: Uint8Array): Uint8Array =>
    new Uint8Array(length).fill(covered.length & 0xff);

const authenticatorLength = {
  sealed: 16,
  initial: 64,
  greeting: 64,
  request: 64,
  answer: 64,
  notice: 64,
  pairing: 32,
} as const;

describe('an envelope', () => {
  it('comes out of its bytes as it went in, with exactly the bytes before its authenticator covered', () => {
    fc.assert(
      fc.property(anyEnvelope, (unsealed) => {
        const length = authenticatorLength[unsealed.kind];
        expect(authenticatorBytes(unsealed.kind)).toBe(length);
        let covered: Uint8Array = new Uint8Array(0);
        const packet = encodeEnvelope(unsealed, (bytes) => {
          covered = bytes.slice();
          return sealWith(length)(bytes);
        });
        const seal = sealWith(length)(covered);
        const envelope = length === 64 ? { ...unsealed, signature: seal } : { ...unsealed, mac: seal };
        expect(decodeEnvelope(packet)).toEqual({ ok: { envelope, covered } });
        expect(packet.length).toBe(covered.length + length);
      }),
      { numRuns: 500 },
    );
  });

  it('is refused or read, and never throws, when any of its bytes change', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.nat(), fc.integer({ min: 1, max: 255 }), (unsealed, place, change) => {
        const packet = encodeEnvelope(unsealed, sealWith(authenticatorLength[unsealed.kind]));
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        expect('ok' in decoded || typeof decoded.refused === 'string').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('carries an entry of 32 KiB in a notice, and none that is larger', () => {
    const from = 'ff522wefsv5i3or7k4xjx2m6cg3rmzcj' as DeviceId;
    const noticeOf = (size: number): Uint8Array =>
      encodeEnvelope(
        { kind: 'notice', from, serial: 1, entries: [new Uint8Array(size)] },
        () => new Uint8Array(64),
      );
    expect(decodeEnvelope(noticeOf(32 * 1024))).toHaveProperty('ok');
    expect(decodeEnvelope(noticeOf(32 * 1024 + 1))).toEqual({ refused: 'envelope-malformed' });
  });

  it('has one encoding: what was read is written again as the same bytes', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.nat(), fc.integer({ min: 1, max: 255 }), (unsealed, place, change) => {
        const packet = encodeEnvelope(unsealed, sealWith(authenticatorLength[unsealed.kind]));
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        if ('refused' in decoded) return;
        const { envelope } = decoded.ok;
        const seal = 'mac' in envelope ? envelope.mac : envelope.signature;
        expect(encodeEnvelope(envelope, () => seal)).toEqual(packet);
      }),
      { numRuns: 2000 },
    );
  });
});
