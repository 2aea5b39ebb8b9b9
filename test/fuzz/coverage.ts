/**
 * What a run has touched. The counters that `instrument.mjs` puts into the code are objects of numbers; they are
 * exchanged for views into one array, so that clearing and reading all of them costs a few microseconds.
 *
 * To be imported before anything that is instrumented: it brings what stands in the place of comparisons.
 */
import { COUNTERS, NEAR } from './names.mjs';

/** An object with numbers for names, an array, or a view. */
interface Counts {
  [counter: number]: number;
}

interface ModuleCounters {
  s: Counts;
  f: Counts;
  readonly b: Record<string, Counts>;
}

const KINDS = 8;

/** One, two, three, four to seven, … times: how often matters, but not exactly. */
const BUCKETS = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count <= 3) return count === 0 ? 0 : count;
  if (count < 8) return 4;
  if (count < 16) return 5;
  if (count < 32) return 6;
  return count < 128 ? 7 : 8;
});

const MOST_PLACES = 1 << 14;
/** For each place of a comparison, how near its two numbers came to each other, as bits. */
const near = new Uint32Array(MOST_PLACES);
let lastPlace = 0;

/** Two numbers that were compared and are not the same: what is, and what was wanted, or the other way round. */
export type Wish = readonly [number, number];
const MOST_WISHES = 48;
/** Stands for a number that is not there. */
export const NOTHING = -1;
let wishes = new Map<number, Wish>();

Reflect.set(globalThis, NEAR, (place: number, one: unknown, other: unknown): boolean => {
  if (typeof one === 'number' && typeof other === 'number') {
    const distance = Math.abs(one - other);
    near[place] =
      (near[place] ?? 0) | (1 << (distance < 1 ? 0 : Math.min(31, Math.floor(Math.log2(distance)) + 1)));
    if (place > lastPlace) lastPlace = place;
    if (distance > 0 && wishes.size < MOST_WISHES) wishes.set(place * 4099 + distance, [one, other]);
  } else if (typeof other === 'number' && one === undefined) {
    // It ended too early.
    wishes.set(place * 4099, [NOTHING, other]);
  }
  return one === other;
});

export class Coverage {
  readonly #counters: Uint32Array;
  readonly #seen: Uint8Array;
  readonly #seenNear = new Uint32Array(MOST_PLACES);
  /** How many pairs of a counter and a bucket have been seen. */
  features = 0;

  constructor(counters: Uint32Array) {
    this.#counters = counters;
    this.#seen = new Uint8Array(counters.length);
  }

  get counters(): number {
    return this.#counters.length;
  }

  clear(): void {
    this.#counters.fill(0);
    near.fill(0, 0, lastPlace + 1);
    wishes = new Map();
  }

  /** True where the run since `clear` touched something for the first time, in another number of times, or nearer. */
  isNew(): boolean {
    const before = this.features;
    for (let i = 0; i < this.#counters.length; i++) {
      const count = this.#counters[i] ?? 0;
      if (count === 0) continue;
      const bit = 1 << ((BUCKETS[Math.min(count, 255)] ?? 1) - 1);
      const seen = this.#seen[i] ?? 0;
      if ((seen & bit) !== 0) continue;
      this.#seen[i] = seen | bit;
      this.features++;
    }
    for (let place = 0; place <= lastPlace; place++) {
      const seen = this.#seenNear[place] ?? 0;
      const bits = (near[place] ?? 0) & ~seen;
      if (bits === 0) continue;
      this.#seenNear[place] = seen | bits;
      this.features++;
    }
    return this.features > before;
  }

  /** What the run since `clear` compared in vain. */
  wishes(): readonly Wish[] {
    return [...wishes.values()];
  }

  /** All that the run since `clear` touched. */
  touched(): number[] {
    const touched: number[] = [];
    for (let i = 0; i < this.#counters.length; i++) {
      const count = this.#counters[i] ?? 0;
      if (count > 0) touched.push(i * KINDS + (BUCKETS[Math.min(count, 255)] ?? 1) - 1);
    }
    const behind = this.#counters.length * KINDS;
    for (let place = 0; place <= lastPlace; place++) {
      for (let bits = near[place] ?? 0; bits !== 0; bits &= bits - 1) {
        touched.push(behind + place * 32 + 31 - Math.clz32(bits & -bits));
      }
    }
    return touched;
  }
}

/** Of the modules whose path `isWatched`; what the others do is not looked at. */
export function watch(isWatched: (path: string) => boolean): Coverage {
  const modules = Object.entries(allCounters()).filter(([path]) => isWatched(path));
  if (modules.length === 0) throw new Error('nothing that is instrumented is watched');
  const slots = modules.flatMap(([, { s, f, b }]) => [size(s), size(f), ...Object.values(b).map(size)]);
  const flat = new Uint32Array(slots.reduce((sum, slot) => sum + slot, 0));
  let at = 0;
  const view = (old: Counts): Uint32Array => {
    const from = at;
    at += size(old);
    return flat.subarray(from, at);
  };
  for (const [, counters] of modules) {
    counters.s = view(counters.s);
    counters.f = view(counters.f);
    for (const [branch, old] of Object.entries(counters.b)) counters.b[branch] = view(old);
  }
  return new Coverage(flat);
}

const size = (counters: Counts): number => Object.keys(counters).length;

function allCounters(): Readonly<Record<string, ModuleCounters>> {
  const found: unknown = Reflect.get(globalThis, COUNTERS);
  return (found ?? {}) as Record<string, ModuleCounters>;
}
