/** The SHA-256 of a broker's own certificate: who knows it needs no authority to vouch for the broker. */
import { type Branded, fromBase32, fromHex } from './bytes.ts';

export const PIN_BYTES = 32;

export type CertificatePin = Branded<'certificate pin'>;

/** Takes hexadecimal, also with colons as `openssl x509 -fingerprint` prints it, or base32 without padding. */
export function parseCertificatePin(text: string): CertificatePin | undefined {
  const plain = text.replaceAll(':', '').toLowerCase();
  const bytes = plain.length === PIN_BYTES * 2 ? fromHex(plain) : fromBase32(plain);
  return bytes?.length === PIN_BYTES ? (bytes as CertificatePin) : undefined;
}
