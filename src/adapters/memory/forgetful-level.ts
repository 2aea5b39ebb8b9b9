/**
 * A database of abstract-level's shape that forgets, when the power goes, every batch that was not written with
 * `sync: true`: exactly what killing a process can never show, because the operating system outlives it.
 */
import { compare, fromHex, toHex } from '../../entities/bytes.ts';

export type LevelOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export class ForgetfulLevel {
  #synced: ReadonlyMap<string, Uint8Array> = new Map();
  #entries = new Map<string, Uint8Array>();

  losePower(): void {
    this.#entries = new Map(this.#synced);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#entries.get(toHex(key));
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#entries.get(toHex(key)));
  }

  async *iterator({
    gte,
    lt,
  }: {
    readonly gte: Uint8Array;
    readonly lt: Uint8Array;
  }): AsyncGenerator<[Uint8Array, Uint8Array]> {
    for (const [name, value] of this.#entries) {
      const key = fromHex(name);
      if (key !== undefined && compare(key, gte) >= 0 && compare(key, lt) < 0) yield [key, value];
    }
  }

  async batch(operations: readonly LevelOperation[], { sync }: { readonly sync: boolean }): Promise<void> {
    for (const operation of operations) {
      if (operation.type === 'put') this.#entries.set(toHex(operation.key), operation.value);
      else this.#entries.delete(toHex(operation.key));
    }
    // Like a log: a synced batch carries everything before it along.
    if (sync) this.#synced = new Map(this.#entries);
  }

  async close(): Promise<void> {
    this.losePower();
  }
}
