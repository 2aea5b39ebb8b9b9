/**
 * An unlock slot: the data key, wrapped by one secret that the person has. Each wrapping takes a fresh salt and
 * hence a key that is used once, so its nonce may be fixed.
 */
import { concat, uint32 } from '../../entities/bytes.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, hkdf32, type Primitives } from '../../entities/crypto.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { DATA_KEY_BYTES } from './store-keys.ts';

export const SALT_BYTES = 16;
export const WRAPPED_BYTES = DATA_KEY_BYTES + AEAD_TAG_BYTES;

/** What scrypt is to cost: N is 2 to the power of `logN`. */
export interface StretchingCost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** scrypt (RFC 7914) to 32 bytes. */
export type Stretch = (passphrase: Uint8Array, salt: Uint8Array, cost: StretchingCost) => Promise<Uint8Array>;

export const DEFAULT_COST: StretchingCost = { logN: 17, r: 8, p: 1 };

export type SlotKind = 'key-file' | 'passphrase' | 'credential';
export const SLOT_KINDS: readonly SlotKind[] = ['key-file', 'passphrase', 'credential'];

/** What opens a slot: 32 random bytes, or a passphrase as UTF-8. */
export interface UnlockSecret {
  readonly kind: SlotKind;
  readonly secret: Secret;
}

export interface Slot {
  readonly number: number;
  readonly kind: SlotKind;
  readonly salt: Uint8Array;
  /** Of a passphrase slot. */
  readonly cost: StretchingCost | undefined;
  readonly wrapped: Uint8Array;
}

/**
 * True for a cost that is safe to pay: a header is read before it can be trusted, and must not be able to ask
 * for all memory or for a day. At most 512 MiB, and at most eight times the work of the default.
 */
export function isBearable({ logN, r, p }: StretchingCost): boolean {
  const whole = [logN, r, p].every((value) => Number.isInteger(value));
  if (!whole || logN < 10 || logN > 20 || r < 1 || r > 32 || p < 1 || p > 8) return false;
  const memory = 128 * 2 ** logN * r;
  return memory <= 512 * 1024 * 1024 && memory * p <= 1024 * 1024 * 1024;
}

/**
 * A passphrase is the same passphrase on every keyboard: composed and decomposed accents are made one (NFC, as
 * RFC 8265 has it for passwords). Letters that only look alike stay different.
 */
export function passphraseSecret(text: string): UnlockSecret {
  return { kind: 'passphrase', secret: new Secret(utf8(text.normalize('NFC'))) };
}

export interface Wrapping {
  readonly primitives: Primitives;
  readonly stretch: Stretch;
}

export async function wrapDataKey(
  wrapping: Wrapping & { readonly randomness: Randomness },
  storeId: Uint8Array,
  number: number,
  unlock: UnlockSecret,
  dataKey: Secret,
  cost: StretchingCost = DEFAULT_COST,
): Promise<Slot> {
  const slot = {
    number,
    kind: unlock.kind,
    salt: wrapping.randomness(SALT_BYTES),
    cost: unlock.kind === 'passphrase' ? cost : undefined,
  };
  const [wrapped] = await wrapping.primitives.aead.seal([
    { ...(await wrapJob(wrapping, storeId, slot, unlock)), data: dataKey.expose() },
  ]);
  if (wrapped === undefined) throw new Error('the AEAD returned nothing for a job');
  return { ...slot, wrapped };
}

/** The data key, or `undefined` where the secret is not the slot's. */
export async function unwrapDataKey(
  wrapping: Wrapping,
  storeId: Uint8Array,
  slot: Slot,
  unlock: UnlockSecret,
): Promise<Secret | undefined> {
  // Keys are alike, whether a file holds them or systemd: a key file may be handed to a service as its credential.
  if ((slot.kind === 'passphrase') !== (unlock.kind === 'passphrase')) return undefined;
  const [dataKey] = await wrapping.primitives.aead.open([
    { ...(await wrapJob(wrapping, storeId, slot, unlock)), data: slot.wrapped },
  ]);
  return dataKey === undefined ? undefined : new Secret(dataKey);
}

async function wrapJob(
  { primitives, stretch }: Wrapping,
  storeId: Uint8Array,
  { number, kind, salt, cost }: Omit<Slot, 'wrapped'>,
  unlock: UnlockSecret,
): Promise<{ key: Uint8Array; nonce: Uint8Array; aad: Uint8Array }> {
  const secret = unlock.secret.expose();
  const stretched = cost === undefined ? secret : await stretch(secret, salt, cost);
  return {
    key: hkdf32(primitives.mac, stretched, salt, `keystore slot ${kind} v1`),
    nonce: new Uint8Array(AEAD_NONCE_BYTES),
    aad: concat(utf8('trusted-mesh slot v1\0'), storeId, uint32(number)),
  };
}
