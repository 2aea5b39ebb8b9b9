/**
 * A header whose secret is known. Changing who can unlock a store rewrites this one small file; the data and
 * its key stay as they are.
 */
import { MeshError } from '../../entities/errors.ts';
import { Secret } from '../../entities/secret.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { encodeHeader, type Header, MOST_SLOTS, parseHeader, verifyHeader } from './header.ts';
import {
  type SlotKind,
  type StretchingCost,
  type UnlockSecret,
  unwrapDataKey,
  type Wrapping,
  wrapDataKey,
} from './slot.ts';
import { DATA_KEY_BYTES, deriveStoreKeys, STORE_ID_BYTES, type StoreKeys } from './store-keys.ts';

export interface HeaderParts extends Wrapping {
  readonly randomness: Randomness;
  /** Replaces the header file: atomic, and durable once resolved. */
  readonly replace: (bytes: Uint8Array) => Promise<void>;
}

export interface SlotSummary {
  readonly number: number;
  readonly kind: SlotKind;
}

/** Who can unlock the store. */
export interface Slots {
  list(): readonly SlotSummary[];
  /** Returns the number of the new slot. */
  add(unlock: UnlockSecret, cost?: StretchingCost): Promise<number>;
  /** Throws `slot-unknown`, or `slot-last` for the only one there is. */
  remove(number: number): Promise<void>;
}

export class UnlockedHeader implements Slots {
  readonly #parts: HeaderParts;
  readonly #dataKey: Secret;
  #header: Header;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(parts: HeaderParts, dataKey: Secret, header: Header) {
    this.#parts = parts;
    this.#dataKey = dataKey;
    this.#header = header;
  }

  /** Makes a new store's id, data key and first slot. Nothing is written before `save`. */
  static async create(
    parts: HeaderParts,
    schema: number,
    unlock: UnlockSecret,
    cost?: StretchingCost,
  ): Promise<UnlockedHeader> {
    const storeId = parts.randomness(STORE_ID_BYTES);
    const dataKey = new Secret(parts.randomness(DATA_KEY_BYTES));
    const slot = await wrapDataKey(parts, storeId, 1, unlock, dataKey, cost);
    return new UnlockedHeader(parts, dataKey, { storeId, schema, slots: [slot] });
  }

  /** Returns `undefined` for a wrong secret; throws `store-damaged` or `store-unknown-version`. */
  static async unlock(
    parts: HeaderParts,
    bytes: Uint8Array,
    newestSchema: number,
    unlock: UnlockSecret,
  ): Promise<UnlockedHeader | undefined> {
    const header = parseHeader(parts.primitives.hash, bytes);
    if (header.schema > newestSchema) {
      throw new MeshError('store-unknown-version', { version: header.schema });
    }
    for (const slot of header.slots) {
      const dataKey = await unwrapDataKey(parts, header.storeId, slot, unlock);
      if (dataKey === undefined) continue;
      verifyHeader(parts.primitives.mac, dataKey, header);
      const { storeId, schema, slots } = header;
      return new UnlockedHeader(parts, dataKey, { storeId, schema, slots });
    }
    return undefined;
  }

  get schema(): number {
    return this.#header.schema;
  }

  storeKeys(): StoreKeys {
    return deriveStoreKeys(this.#parts.primitives.mac, this.#dataKey, this.#header.storeId);
  }

  save(): Promise<void> {
    return this.#change(async (header) => header);
  }

  /** Notes the version that the store has been brought to. */
  async setSchema(schema: number): Promise<void> {
    await this.#change(async (header) => ({ ...header, schema }));
  }

  list(): readonly SlotSummary[] {
    return this.#header.slots.map(({ number, kind }) => ({ number, kind }));
  }

  async add(unlock: UnlockSecret, cost?: StretchingCost): Promise<number> {
    let number = 0;
    await this.#change(async (header) => {
      if (header.slots.length >= MOST_SLOTS) throw new MeshError('slot-too-many', { most: MOST_SLOTS });
      number = Math.max(...header.slots.map((slot) => slot.number)) + 1;
      const slot = await wrapDataKey(this.#parts, header.storeId, number, unlock, this.#dataKey, cost);
      return { ...header, slots: [...header.slots, slot] };
    });
    return number;
  }

  async remove(number: number): Promise<void> {
    await this.#change(async (header) => {
      const slots = header.slots.filter((slot) => slot.number !== number);
      if (slots.length === header.slots.length) throw new MeshError('slot-unknown', { slot: number });
      if (slots.length === 0) throw new MeshError('slot-last');
      return { ...header, slots };
    });
  }

  /** One change after the other, each upon what the one before has written. */
  #change(change: (header: Header) => Promise<Header>): Promise<void> {
    const changing = this.#writing.then(async () => {
      const header = await change(this.#header);
      const { hash, mac } = this.#parts.primitives;
      await this.#parts.replace(encodeHeader(hash, mac, this.#dataKey, header));
      this.#header = header;
    });
    this.#writing = changing.catch(() => undefined);
    return changing;
  }
}
