/**
 * How either end gives a pairing up. It goes in the clear, signed: it has to come through where the two have no
 * session, or none any more, and nobody else who holds the link may say it in their place. What the broker learns
 * is the reason.
 */
import { concat } from '../bytes.ts';
import { type Hash, labelledHash } from '../crypto.ts';
import { deviceIdBytes } from '../device-id.ts';
import type { Result } from '../result.ts';
import type { Signable } from '../roster/signing.ts';
import { type Caps, type CborRefusal, decode, encode, type Value } from '../wire/cbor.ts';
import { isBytes, isCount, SIGNATURE_BYTES } from '../wire/envelope.ts';
import type { PairingDirection, PairingEnds } from './keys.ts';

/** The wire's numbers. `other` stands for what a later version may say. */
const REASONS = {
  expired: 1,
  /** Somebody, perhaps another device, has used the invite. */
  used: 2,
  cancelled: 3,
  'wrong-code': 4,
  declined: 5,
  /** The device was removed from this mesh, for ever. */
  removed: 6,
  /** What came is not what a sound program sends. */
  malformed: 7,
  version: 8,
  /** The newcomer does not want to any more. */
  'gave-up': 9,
  /** The newcomer does not accept what the inviter sent. */
  refused: 10,
  other: 255,
} as const;

export type AbortReason = keyof typeof REASONS;
export const ABORT_REASONS = Object.keys(REASONS) as readonly AbortReason[];

export interface Abort {
  readonly reason: AbortReason;
  readonly signature: Uint8Array;
}

const CAPS: Caps = { bytes: 128, depth: 1, items: 3 };

export function encodeAbort({ reason, signature }: Abort): Uint8Array {
  return encode([REASONS[reason], signature]);
}

export function decodeAbort(body: Uint8Array): Result<AbortBytes, 'pairing-malformed' | CborRefusal> {
  const value = decode(body, CAPS);
  if ('refused' in value) return value;
  const malformed = { refused: 'pairing-malformed' } as const;
  if (!Array.isArray(value.ok) || value.ok.length !== 2) return malformed;
  const [number, signature] = value.ok as readonly Value[];
  if (!isCount(number) || number > 255 || !isBytes(signature, SIGNATURE_BYTES)) return malformed;
  const reason = ABORT_REASONS.find((name) => REASONS[name] === number) ?? 'other';
  return { ok: { number, reason, signature } };
}

/** As it came: the signature is over the number, known here or not. */
export interface AbortBytes extends Abort {
  readonly number: number;
}

export function abortSignable(
  hash: Hash,
  direction: PairingDirection,
  tag: Uint8Array,
  ends: PairingEnds,
  reason: AbortReason | number,
): Signable {
  const label = 'pairing abort v1';
  const number = typeof reason === 'number' ? reason : REASONS[reason];
  const said = concat(
    Uint8Array.of(direction === 'to inviter' ? 0 : 1, number),
    tag,
    deviceIdBytes(ends.inviter),
    deviceIdBytes(ends.newcomer),
  );
  return { label, digest: labelledHash(hash, label, said) };
}
