import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nobleHash } from '../../../src/adapters/noble/primitives.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import {
  authenticatorBytes,
  coveredBytes,
  decodeEnvelope,
  encodeEnvelope,
  type Unsealed,
} from '../../../src/entities/wire/envelope.ts';
import { anyEnvelope } from './arbitraries.ts';

const FROM = 'ff522wefsv5i3or7k4xjx2m6cg3rmzcj' as DeviceId;

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

function digestsOf(envelope: Unsealed): readonly Uint8Array[] {
  return 'attached' in envelope ? envelope.attached.map((bytes) => nobleHash(bytes)) : [];
}

describe('an envelope', () => {
  it('comes out of its bytes as it went in, and what its authenticator covers is the same at both ends', () => {
    fc.assert(
      fc.property(anyEnvelope, (unsealed) => {
        const length = authenticatorLength[unsealed.kind];
        expect(authenticatorBytes(unsealed.kind)).toBe(length);
        let covered: Uint8Array = new Uint8Array(0);
        const digests = digestsOf(unsealed);
        const packet = encodeEnvelope(
          unsealed,
          (bytes) => {
            covered = bytes.slice();
            return sealWith(length)(bytes);
          },
          digests,
        );
        const seal = sealWith(length)(covered);
        const envelope = length === 64 ? { ...unsealed, signature: seal } : { ...unsealed, mac: seal };
        const head = packet.subarray(0, packet.length - length);
        const decoded = decodeEnvelope(packet);
        expect(decoded).toEqual({ ok: { envelope, head } });
        if ('ok' in decoded) expect(coveredBytes(decoded.ok, digests)).toEqual(covered);
        if (digests.length === 0) expect(covered).toEqual(head);
      }),
      { numRuns: 500 },
    );
  });

  it('is covered with what is attached to it, each byte of it and its order', () => {
    const bare = {
      kind: 'sealed',
      from: FROM,
      session: new Uint8Array(8),
      counter: 1,
      body: Uint8Array.of(1),
    } as const;
    const coveredWith = (...attached: readonly Uint8Array[]): string => {
      let covered = '';
      encodeEnvelope(
        { ...bare, attached },
        (bytes) => {
          covered = toHex(bytes);
          return new Uint8Array(16);
        },
        digestsOf({ ...bare, attached }),
      );
      return covered;
    };
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
    const variants = [[], [one], [two], [one, two], [two, one], [one, one], [one, two, two]];
    expect(new Set(variants.map((attached) => coveredWith(...attached))).size).toBe(variants.length);
    expect(() => encodeEnvelope({ ...bare, attached: [one] }, () => new Uint8Array(16))).toThrow(
      'a hash is missing',
    );
  });

  it('is refused or read, and never throws, when any of its bytes change', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.nat(), fc.integer({ min: 1, max: 255 }), (unsealed, place, change) => {
        const packet = encodeEnvelope(
          unsealed,
          sealWith(authenticatorLength[unsealed.kind]),
          digestsOf(unsealed),
        );
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        expect('ok' in decoded || typeof decoded.refused === 'string').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('carries an entry of 32 KiB in a notice, and none that is larger', () => {
    const from = FROM;
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
        const packet = encodeEnvelope(
          unsealed,
          sealWith(authenticatorLength[unsealed.kind]),
          digestsOf(unsealed),
        );
        const at = place % packet.length;
        packet[at] = (packet[at] ?? 0) ^ change;
        const decoded = decodeEnvelope(packet);
        if ('refused' in decoded) return;
        const { envelope } = decoded.ok;
        const seal = 'mac' in envelope ? envelope.mac : envelope.signature;
        expect(encodeEnvelope(envelope, () => seal, digestsOf(envelope))).toEqual(packet);
      }),
      { numRuns: 2000 },
    );
  });
});
