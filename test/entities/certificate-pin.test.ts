import { describe, expect, it } from 'vitest';
import { toBase32, toHex } from '../../src/entities/bytes.ts';
import { parseCertificatePin } from '../../src/entities/certificate-pin.ts';

const bytes = Uint8Array.from({ length: 32 }, (_, i) => i * 7);

describe('a certificate pin', () => {
  it('is read as hexadecimal, as openssl prints it, and as base32', () => {
    const hex = toHex(bytes);
    const withColons = (hex.toUpperCase().match(/../g) ?? []).join(':');
    for (const text of [hex, hex.toUpperCase(), withColons, toBase32(bytes), toBase32(bytes).toUpperCase()]) {
      expect(parseCertificatePin(text)).toEqual(bytes);
    }
  });

  it('is nothing else', () => {
    for (const text of ['', 'x', toHex(bytes).slice(2), `${toHex(bytes)}00`, toBase32(bytes.subarray(1))]) {
      expect(parseCertificatePin(text)).toBeUndefined();
    }
  });
});
