/**
 * Which records there are, and which commit wrote each last. It is held in memory and is what every reading is
 * checked against: the database is only asked for what the directory knows, and only the value that the named
 * commit wrote is accepted. Hence nothing can go missing, come back or change places unnoticed.
 */
import { equal } from '../../entities/bytes.ts';
import type { ByteReader, ByteWriter } from './compact-bytes.ts';
import { Undecodable } from './compact-bytes.ts';
import { EPOCH_ID_BYTES, type Epoch, type Origin } from './record-seal.ts';

export interface DirectoryChange {
  readonly kind: string;
  readonly key: string;
  readonly removed: boolean;
}

interface EpochSpan {
  readonly from: number;
  readonly epoch: Epoch;
}

export class Directory {
  readonly #kinds = new Map<string, Map<string, number>>();
  #spans: EpochSpan[] = [];

  /** The commit that wrote the record last, or `undefined` where there is no such record. */
  find(kind: string, key: string): Origin | undefined {
    const number = this.#kinds.get(kind)?.get(key);
    return number === undefined ? undefined : { number, epoch: this.#epochOf(number) };
  }

  keys(kind: string): readonly string[] {
    return [...(this.#kinds.get(kind)?.keys() ?? [])];
  }

  kinds(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  /** The epoch of the latest commit. */
  latestEpoch(): Epoch | undefined {
    return this.#spans.at(-1)?.epoch;
  }

  apply(origin: Origin, changes: readonly DirectoryChange[]): void {
    const last = this.#spans.at(-1);
    // Commits come in the order of their numbers, whatever a checkpoint claims about later ones.
    if (last !== undefined && origin.number < last.from) throw new Undecodable();
    if (last === undefined || !equal(last.epoch.id, origin.epoch.id)) {
      this.#spans.push({ from: origin.number, epoch: origin.epoch });
    }
    for (const { kind, key, removed } of changes) {
      let keys = this.#kinds.get(kind);
      if (removed) {
        keys?.delete(key);
        if (keys?.size === 0) this.#kinds.delete(kind);
        continue;
      }
      if (keys === undefined) {
        keys = new Map();
        this.#kinds.set(kind, keys);
      }
      keys.set(key, origin.number);
    }
  }

  #epochOf(number: number): Epoch {
    const index = this.#spanOf(number);
    const span = this.#spans[index];
    if (span === undefined) throw new Error('the directory names a commit before its first epoch');
    return span.epoch;
  }

  /** Nearly every question is about a recent epoch or one of few, so halving finds it at once. */
  #spanOf(number: number): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#spans[middle]?.from ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  write(to: ByteWriter): void {
    this.#forgetUnusedEpochs();
    to.uint(this.#spans.length);
    for (const { from, epoch } of this.#spans) {
      to.uint(from);
      to.uint(epoch.schema);
      to.raw(epoch.id);
    }
    to.uint(this.#kinds.size);
    for (const [kind, keys] of this.#kinds) {
      to.text(kind);
      to.uint(keys.size);
      for (const [key, number] of keys) {
        to.text(key);
        to.uint(number);
      }
    }
  }

  static read(from: ByteReader): Directory {
    const directory = new Directory();
    for (let count = from.uint(); count > 0; count--) {
      const start = from.uint();
      const schema = from.uint();
      // They are searched by halving.
      if (start <= (directory.#spans.at(-1)?.from ?? -1)) throw new Undecodable();
      directory.#spans.push({ from: start, epoch: { schema, id: from.raw(EPOCH_ID_BYTES) } });
    }
    const first = directory.#spans[0];
    for (let kinds = from.uint(); kinds > 0; kinds--) {
      const kind = from.text();
      const keys = new Map<string, number>();
      for (let count = from.uint(); count > 0; count--) {
        const key = from.text();
        const number = from.uint();
        if (first === undefined || number < first.from || keys.has(key)) throw new Undecodable();
        keys.set(key, number);
      }
      if (keys.size === 0 || directory.#kinds.has(kind)) throw new Undecodable();
      directory.#kinds.set(kind, keys);
    }
    return directory;
  }

  /** Otherwise every start of the device would leave a few bytes for ever. */
  #forgetUnusedEpochs(): void {
    const used = new Set<number>([this.#spans.length - 1]);
    for (const keys of this.#kinds.values())
      for (const number of keys.values()) used.add(this.#spanOf(number));
    this.#spans = this.#spans.filter((_, index) => used.has(index));
  }
}
