/**
 * How a record looks to the database: under a name that tells nothing, sealed to the one place where it
 * belongs. The place is the store, the name, and the commit that wrote it; a value that was moved, kept from
 * before or written by another history does not open.
 *
 * Each commit has a key of its own, made of its number and of its epoch. An epoch is one opening of the store
 * and begins with fresh random bytes; within one opening a number is written once (after a failed write nothing
 * more is written). So a number that is written again after a crash has another key, and within a commit the
 * nonce counts.
 */
import { concat, uint32, uint64 } from '../../entities/bytes.ts';
import { AEAD_NONCE_BYTES, type AeadJob, type Primitives } from '../../entities/crypto.ts';
import { utf8 } from '../../entities/text.ts';
import type { StoreKeys } from './store-keys.ts';

export const EPOCH_ID_BYTES = 16;
const RECORD_NAME_BYTES = 20;
const INDEX_BYTES = 4;
const FIXED_NONCE = new Uint8Array(AEAD_NONCE_BYTES - INDEX_BYTES);
const ZERO = Uint8Array.of(0);

/** One opening of the store, and the schema version under which it wrote. */
export interface Epoch {
  readonly id: Uint8Array;
  readonly schema: number;
}

/** The commit that wrote something. */
export interface Origin {
  readonly number: number;
  readonly epoch: Epoch;
}

export interface NamedBytes {
  readonly name: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface SealedBytes {
  readonly name: Uint8Array;
  readonly origin: Origin;
  readonly sealed: Uint8Array;
}

const RECORD = utf8('r');
export const COMMIT_PREFIX = utf8('c');
export const CHECKPOINT_PREFIX = utf8('d');

export const commitName = (number: number): Uint8Array => concat(COMMIT_PREFIX, uint64(number));
export const checkpointName = (number: number): Uint8Array => concat(CHECKPOINT_PREFIX, uint64(number));

/** The number in such a name, or `undefined` where the name is none. */
export function numberInName(name: Uint8Array): number | undefined {
  if (name.length !== 9) return undefined;
  let number = 0;
  for (const byte of name.subarray(1)) number = number * 256 + byte;
  return Number.isSafeInteger(number) ? number : undefined;
}

export class RecordSeal {
  readonly #primitives: Primitives;
  readonly #keys: StoreKeys;
  readonly #aadStart: Uint8Array;

  constructor(primitives: Primitives, keys: StoreKeys) {
    this.#primitives = primitives;
    this.#keys = keys;
    this.#aadStart = concat(utf8('trusted-mesh record v1\0'), keys.storeId);
  }

  recordName(kind: string, key: string): Uint8Array {
    const digest = this.#primitives.mac(this.#keys.names.expose(), utf8(kind), ZERO, utf8(key));
    return concat(RECORD, digest.subarray(0, RECORD_NAME_BYTES));
  }

  /** Seals all that one commit writes. To be called once for a commit: the nonces begin anew with each call. */
  async seal(origin: Origin, items: readonly NamedBytes[]): Promise<readonly Uint8Array[]> {
    const key = this.#commitKey(origin);
    const bound = this.#bind(origin);
    const indexes = items.map((_, index) => uint32(index));
    const sealed = await this.#primitives.aead.seal(
      items.map((item, i) => ({
        key,
        nonce: concat(FIXED_NONCE, indexes[i] ?? ZERO),
        aad: concat(bound, item.name),
        data: item.bytes,
        room: INDEX_BYTES,
      })),
    );
    sealed.forEach((bytes, i) => {
      bytes.set(indexes[i] ?? ZERO);
    });
    return sealed;
  }

  /** `undefined` stands where something is not what that commit wrote under that name. */
  async open(items: readonly SealedBytes[]): Promise<readonly (Uint8Array | undefined)[]> {
    const jobs = items.map(
      ({ name, origin, sealed }): AeadJob => ({
        key: this.#commitKey(origin),
        nonce: concat(
          FIXED_NONCE,
          sealed.length < INDEX_BYTES ? new Uint8Array(INDEX_BYTES) : sealed.subarray(0, INDEX_BYTES),
        ),
        aad: concat(this.#bind(origin), name),
        data: sealed.subarray(INDEX_BYTES),
      }),
    );
    return this.#primitives.aead.open(jobs);
  }

  #commitKey(origin: Origin): Uint8Array {
    return this.#primitives.mac(this.#keys.seals.expose(), origin.epoch.id, uint64(origin.number));
  }

  #bind(origin: Origin): Uint8Array {
    return concat(this.#aadStart, origin.epoch.id, uint32(origin.epoch.schema), uint64(origin.number));
  }
}
