/** What is signed, and how a signature is checked. Signing itself and checking are somebody else's functions. */
import { type Hash, labelledHash } from '../crypto.ts';
import type { DeviceKeys, SigningKey } from '../keys.ts';
import { type MeshId, meshIdBytes } from '../mesh-id.ts';
import { ENTRY_LABEL, type Entry, type EntryHash, hashBytes, isKind } from './entry.ts';

/** A label that names the kind of statement, and the 32-byte hash of what is stated. */
export interface Signable {
  readonly label: string;
  readonly digest: Uint8Array;
}

/** Strict: keys of low order and signatures of the wrong length are refused. */
export type VerifySignature = (
  key: SigningKey,
  label: string,
  digest: Uint8Array,
  signature: Uint8Array,
) => boolean;

export const CONSENT_LABEL = 'consent v1';

/** What the author of an entry signs: its hash. */
export function entrySignable(hash: EntryHash): Signable {
  return { label: ENTRY_LABEL, digest: hashBytes(hash) };
}

export interface Consent {
  readonly mesh: MeshId;
  /** The hash of the pairing's transcript. */
  readonly transcript: Uint8Array;
  readonly inviter: DeviceKeys;
  readonly newcomer: DeviceKeys;
}

/**
 * What the newcomer signs to be added. It names no position in any chain, so the inviter can write its entry
 * whenever it is ready; it names the inviter, so nobody else can use it.
 */
export function consentSignable(hash: Hash, consent: Consent): Signable {
  const digest = labelledHash(
    hash,
    CONSENT_LABEL,
    meshIdBytes(consent.mesh),
    consent.transcript,
    consent.inviter.signing,
    consent.inviter.agreement,
    consent.newcomer.signing,
    consent.newcomer.agreement,
  );
  return { label: CONSENT_LABEL, digest };
}

export type SignatureRefusal = 'entry-signature-invalid' | 'entry-consent-invalid';

/** Checks the author's signature and, in an ADD, the consent. `undefined` where all is well. */
export function checkSignatures(
  hash: Hash,
  verify: VerifySignature,
  mesh: MeshId,
  entry: Entry,
  author: DeviceKeys,
): SignatureRefusal | undefined {
  const signed = entrySignable(entry.hash);
  if (!verify(author.signing, signed.label, signed.digest, entry.signature)) return 'entry-signature-invalid';
  if (!isKind(entry, 'add')) return undefined;
  const { keys, transcript, consent } = entry.body;
  const consented = consentSignable(hash, { mesh, transcript, inviter: author, newcomer: keys });
  return verify(keys.signing, consented.label, consented.digest, consent)
    ? undefined
    : 'entry-consent-invalid';
}
