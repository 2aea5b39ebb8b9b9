/**
 * Public keys as they come from outside. These two parsers are the only way to make the types, so a key that
 * has a type has been checked: its length, that it is the one encoding of its point, and its order.
 */
import { type Branded, equal, toHex } from './bytes.ts';
import { LOW_ORDER_ED25519, LOW_ORDER_X25519 } from './low-order-keys.ts';
import type { Result } from './result.ts';

export const KEY_BYTES = 32;

/** An Ed25519 verification key. */
export type SigningKey = Branded<'signing key'>;
/** A Curve25519 key for agreement: an identity key or a one-time key. */
export type AgreementKey = Branded<'agreement key'>;

export type KeyRefusal = 'key-malformed' | 'key-low-order';

/** Two keys that belong together for ever: they are the device. */
export interface DeviceKeys {
  readonly signing: SigningKey;
  readonly agreement: AgreementKey;
}

const lowOrderX25519 = new Set(LOW_ORDER_X25519);
const lowOrderEd25519 = new Set(LOW_ORDER_ED25519);

/** True where the little-endian number, without its top bit, is below 2^255 - 19. */
function isReduced(bytes: Uint8Array): boolean {
  if (((bytes[31] ?? 0) & 0x7f) !== 0x7f) return true;
  for (let i = 30; i > 0; i--) if (bytes[i] !== 0xff) return true;
  return (bytes[0] ?? 0) < 0xed;
}

export function parseAgreementKey(bytes: Uint8Array): Result<AgreementKey, KeyRefusal> {
  if (bytes.length !== KEY_BYTES) return { refused: 'key-malformed' };
  // Copied by hand: `slice` of some kinds of byte arrays is a view, and would write into the caller's bytes.
  const masked = new Uint8Array(bytes);
  masked[31] = (masked[31] ?? 0) & 0x7f;
  if (lowOrderX25519.has(toHex(masked))) return { refused: 'key-low-order' };
  if (!equal(masked, bytes) || !isReduced(bytes)) return { refused: 'key-malformed' };
  return { ok: masked as AgreementKey };
}

export function parseSigningKey(bytes: Uint8Array): Result<SigningKey, KeyRefusal> {
  if (bytes.length !== KEY_BYTES) return { refused: 'key-malformed' };
  if (lowOrderEd25519.has(toHex(bytes))) return { refused: 'key-low-order' };
  if (!isReduced(bytes)) return { refused: 'key-malformed' };
  return { ok: new Uint8Array(bytes) as SigningKey };
}

export function parseDeviceKeys(signing: Uint8Array, agreement: Uint8Array): Result<DeviceKeys, KeyRefusal> {
  const parsedSigning = parseSigningKey(signing);
  if ('refused' in parsedSigning) return parsedSigning;
  const parsedAgreement = parseAgreementKey(agreement);
  if ('refused' in parsedAgreement) return parsedAgreement;
  return { ok: { signing: parsedSigning.ok, agreement: parsedAgreement.ok } };
}
