/**
 * What both ends of a pairing have seen, as one hash, and the code that people compare it by. The newcomer is
 * bound to its nonce before the inviter shows its own, so neither can choose what the code will be: somebody who
 * stands in between has one guess in a hundred million.
 */
import { concat, uint32 } from '../bytes.ts';
import { type Hash, hkdf32, labelledHash, type Mac } from '../crypto.ts';
import { type DeviceId, deviceIdBytes } from '../device-id.ts';
import { type MeshId, meshIdBytes } from '../mesh-id.ts';
import type { Party } from '../pair-keys.ts';
import type { Secret } from '../secret.ts';
import { utf8 } from '../text.ts';

export const PAIRING_VERSION = 1;
export const PAIRING_NONCE_BYTES = 32;
export const CODE_DIGITS = 8;
const CODES = 100_000_000;

export function commitmentTo(hash: Hash, newcomer: DeviceId, nonce: Uint8Array): Uint8Array {
  return labelledHash(hash, 'pairing commitment v1', deviceIdBytes(newcomer), nonce);
}

export function firstMessageHash(hash: Hash, plaintext: Uint8Array): Uint8Array {
  return labelledHash(hash, 'pairing first message v1', plaintext);
}

export function linkHash(hash: Hash, link: Uint8Array): Uint8Array {
  return labelledHash(hash, 'pairing link v1', link);
}

export interface Transcript {
  readonly link: Uint8Array;
  /** The plaintexts of the first and the second message, without their padding. */
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly nonce: Uint8Array;
  /** Of the Olm session, 32 bytes. */
  readonly session: Uint8Array;
  readonly mesh: MeshId;
  readonly inviter: Party;
  readonly inviterName: string;
  readonly newcomer: Party;
  readonly newcomerName: string;
}

export function transcriptHash(hash: Hash, transcript: Transcript): Uint8Array {
  const party = (role: string, { id, keys }: Party, name: string): Uint8Array[] => [
    utf8(role),
    deviceIdBytes(id),
    keys.signing,
    keys.agreement,
    utf8(name),
  ];
  const parts = [
    Uint8Array.of(PAIRING_VERSION),
    transcript.link,
    transcript.first,
    transcript.second,
    transcript.nonce,
    transcript.session,
    meshIdBytes(transcript.mesh),
    ...party('inviter', transcript.inviter, transcript.inviterName),
    ...party('newcomer', transcript.newcomer, transcript.newcomerName),
  ];
  // Each with its length, so that no two lists of parts look the same.
  const measured = parts.map((part) => concat(uint32(part.length), part));
  return labelledHash(hash, 'pairing transcript v1', ...measured);
}

/** Eight digits. */
export function pairingCode(hash: Hash, transcript: Uint8Array): string {
  const digest = labelledHash(hash, 'pairing code v1', transcript).subarray(0, 8);
  const number = digest.reduce((sum, byte) => (sum * 256 + byte) % CODES, 0);
  return String(number).padStart(CODE_DIGITS, '0');
}

/** In two groups, as people read it aloud. */
export function showCode(code: string): string {
  return `${code.slice(0, CODE_DIGITS / 2)} ${code.slice(CODE_DIGITS / 2)}`;
}

/** The eight digits of what somebody typed, or `undefined` where it is no code at all. */
export function parseCode(typed: string): string | undefined {
  if (typed.length > 64) return undefined;
  const digits = typed.replaceAll(/[\s-]/g, '');
  return /^[0-9]{8}$/.test(digits) ? digits : undefined;
}

/** With this the inviter says that a person has typed the code. */
export function approvalProof(
  mac: Mac,
  secret: Secret,
  session: Uint8Array,
  transcript: Uint8Array,
): Uint8Array {
  return mac(hkdf32(mac, secret.expose(), session, 'pairing approval v1'), transcript);
}
