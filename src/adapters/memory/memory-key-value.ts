/**
 * A disk in memory that can lose power. What was written is there for whoever opens it next; a handle from
 * before the cut is of no more use, as after a real one. Deterministic: the power goes at a step that is named.
 */
import { fromHex, toHex } from '../../entities/bytes.ts';
import type { AnchorFile, Entry, KeyValue, Write } from '../keystore/key-value.ts';

export class PowerCut extends Error {
  constructor() {
    super('the power went');
    this.name = 'PowerCut';
  }
}

export interface DiskImage {
  readonly entries: ReadonlyMap<string, Uint8Array>;
  readonly anchor: Uint8Array | undefined;
}

export class MemoryDisk {
  readonly #entries = new Map<string, Uint8Array>();
  #anchor: Uint8Array | undefined;
  #life = 0;
  #steps = 0;
  #cut: { readonly step: number; readonly moment: 'before' | 'after' } | undefined;

  /** How many writes, to the database or to the anchor, have been begun so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Cuts the power just before or just after the write of that number takes effect. */
  cutPowerAt(step: number, moment: 'before' | 'after'): void {
    this.#cut = { step, moment };
  }

  cutPower(): void {
    this.#life++;
    this.#cut = undefined;
  }

  database(): KeyValue {
    const life = this.#life;
    const on = () => this.#assertOn(life);
    const entries = this.#entries;
    return {
      async get(name) {
        on();
        return entries.get(toHex(name))?.slice();
      },
      async getMany(names) {
        on();
        return names.map((name) => entries.get(toHex(name))?.slice());
      },
      async *entries(prefix): AsyncGenerator<Entry> {
        on();
        const start = toHex(prefix);
        for (const [name, value] of [...entries]) {
          const bytes = name.startsWith(start) ? fromHex(name) : undefined;
          if (bytes !== undefined) yield { name: bytes, value: value.slice() };
        }
      },
      write: async (batch) => {
        on();
        // Copied before the first wait: what the caller does with its bytes afterwards is its own affair.
        const copied = batch.map((write) => copyOf(write));
        await undefined;
        this.#step(life, () => {
          for (const write of copied) {
            if ('put' in write) entries.set(toHex(write.name), write.put);
            else entries.delete(toHex(write.name));
          }
        });
      },
      async close() {
        on();
      },
    };
  }

  anchor(): AnchorFile {
    const life = this.#life;
    return {
      read: async () => {
        this.#assertOn(life);
        return this.#anchor?.slice();
      },
      replace: async (bytes) => {
        const copied = bytes.slice();
        await undefined;
        this.#step(life, () => {
          this.#anchor = copied;
        });
      },
    };
  }

  /** For whoever plays a fault or a thief: the entries themselves, names in hex. */
  rawEntries(): Map<string, Uint8Array> {
    return this.#entries;
  }

  /** The whole disk as it is: what a backup keeps, and what a restored backup brings back. */
  image(): DiskImage {
    return { entries: new Map(this.#entries), anchor: this.#anchor };
  }

  restore(image: DiskImage): void {
    this.cutPower();
    this.#entries.clear();
    for (const [name, value] of image.entries) this.#entries.set(name, value);
    this.#anchor = image.anchor;
  }

  #assertOn(life: number): void {
    if (life !== this.#life) throw new PowerCut();
  }

  #step(life: number, effect: () => void): void {
    this.#assertOn(life);
    this.#steps++;
    const cut = this.#cut?.step === this.#steps ? this.#cut.moment : undefined;
    if (cut !== 'before') effect();
    if (cut !== undefined) {
      this.cutPower();
      throw new PowerCut();
    }
  }
}

function copyOf(write: Write): Write {
  return 'put' in write
    ? { name: write.name.slice(), put: write.put.slice() }
    : { name: write.name.slice(), remove: true };
}
