/**
 * The three primitives that everything above reckons with, as ports: the platform's own code is several times
 * faster than any script, and each platform has its own. All three are functions of their input alone.
 */
import { concat } from './bytes.ts';
import { utf8 } from './text.ts';

/** SHA-256. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array;

/** HMAC-SHA-256, whole (32 bytes). */
export type Mac = (key: Uint8Array, ...parts: readonly Uint8Array[]) => Uint8Array;

export interface AeadJob {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly data: Uint8Array;
  /** So many bytes are left free in front of what is sealed. */
  readonly room?: number;
}

/**
 * AES-256-GCM with a 12-byte nonce, the 16-byte tag behind the ciphertext. Jobs come in batches because some
 * platforms answer later, and asking once for many is what makes them bearable; Node answers at once.
 */
export interface Aead {
  seal(jobs: readonly AeadJob[]): Awaitable<readonly Uint8Array[]>;
  /** `undefined` stands where a job's data does not belong to its key, nonce and aad. */
  open(jobs: readonly AeadJob[]): Awaitable<readonly (Uint8Array | undefined)[]>;
}

/**
 * The same cipher, one job at a time and at once, for the payloads of envelopes: a ratchet's step cannot wait
 * in its middle.
 */
export interface Cipher {
  seal(job: AeadJob): Uint8Array;
  open(job: AeadJob): Uint8Array | undefined;
}

export type Awaitable<T> = T | Promise<T>;

export interface Primitives {
  readonly hash: Hash;
  readonly mac: Mac;
  readonly aead: Aead;
  readonly cipher: Cipher;
}

export const AEAD_NONCE_BYTES = 12;
export const AEAD_TAG_BYTES = 16;

/** A hash that no other use of the same bytes can produce. */
export function labelledHash(hash: Hash, label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return hash(utf8(`trusted-mesh ${label}\0`), ...parts);
}

/** HKDF-SHA-256 (RFC 5869) for outputs of at most one block, which is all that is needed here. */
export function hkdf32(mac: Mac, secret: Uint8Array, salt: Uint8Array, label: string): Uint8Array {
  const pseudoRandomKey = mac(salt.length === 0 ? new Uint8Array(32) : salt, secret);
  return mac(pseudoRandomKey, concat(utf8(`trusted-mesh ${label}`), Uint8Array.of(1)));
}
