/**
 * A device's id is its own fingerprint: a hash of both its keys. Whoever holds the keys can check a claim to
 * the id, and nobody can claim an id for other keys.
 */
import { concat, fromBase32, toBase32 } from './bytes.ts';
import { type Hash, labelledHash } from './crypto.ts';
import type { DeviceKeys } from './keys.ts';

export const DEVICE_ID_BYTES = 20;
const TEXT_LENGTH = 32;

/** 32 characters of lower-case base32. */
export type DeviceId = string & { readonly __brand: 'device id' };

export function deriveDeviceId(hash: Hash, keys: DeviceKeys): DeviceId {
  const digest = labelledHash(hash, 'device id v1', concat(keys.signing, keys.agreement));
  return toBase32(digest.subarray(0, DEVICE_ID_BYTES)) as DeviceId;
}

export function parseDeviceId(text: string): DeviceId | undefined {
  if (text.length !== TEXT_LENGTH) return undefined;
  return fromBase32(text)?.length === DEVICE_ID_BYTES ? (text as DeviceId) : undefined;
}

export function deviceIdFromBytes(bytes: Uint8Array): DeviceId | undefined {
  return bytes.length === DEVICE_ID_BYTES ? (toBase32(bytes) as DeviceId) : undefined;
}

export function deviceIdBytes(id: DeviceId): Uint8Array {
  const bytes = fromBase32(id);
  if (bytes === undefined) throw new Error('a device id that does not decode was given a type');
  return bytes;
}

/** The id in groups of four, as people compare it. */
export function fingerprint(id: DeviceId): string {
  return (id.match(/.{4}/g) ?? []).join(' ');
}
