/** What tests of the keystore share: a clock that is moved by hand, predictable bytes, and a store in memory. */
import type { KeystoreOptions, KeystoreParts } from '../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys } from '../../src/adapters/keystore/store-keys.ts';
import { MemoryDisk } from '../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { MeshError } from '../../src/entities/errors.ts';
import { Secret } from '../../src/entities/secret.ts';
import { utf8 } from '../../src/entities/text.ts';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { Randomness } from '../../src/usecases/ports/randomness.ts';

export class HandClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly call: () => void }>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delay: number, call: () => void): () => void {
    const timer = { at: this.#now + delay, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now) continue;
      this.#timers.delete(timer);
      timer.call();
    }
  }
}

export function countingRandomness(seed = 0): Randomness {
  let count = seed * 1_000_000;
  return (length) => {
    const digest = nodePrimitives.hash(utf8(String(count++)));
    return Uint8Array.from({ length }, (_, i) => digest[i % 32] ?? 0);
  };
}

export const testKeys = deriveStoreKeys(
  nodePrimitives.mac,
  new Secret(new Uint8Array(32).fill(7)),
  new Uint8Array(16).fill(3),
);

export interface MemoryStore {
  readonly disk: MemoryDisk;
  readonly clock: HandClock;
  /** Fresh handles on what the disk holds now. */
  parts(): KeystoreParts;
}

export function memoryStore(disk = new MemoryDisk()): MemoryStore {
  const clock = new HandClock();
  const randomness = countingRandomness();
  return {
    disk,
    clock,
    parts: () => ({
      database: disk.database(),
      anchor: disk.anchor(),
      keys: testKeys,
      primitives: nodePrimitives,
      randomness,
      clock,
    }),
  };
}

/** Small enough that a handful of commits makes checkpoints, and clears away what they replace. */
export const smallCheckpoints: KeystoreOptions = { checkpointBytes: 200 };

/** The code of the `MeshError` that the work ends in, or `undefined` where it succeeds; anything else is thrown. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
