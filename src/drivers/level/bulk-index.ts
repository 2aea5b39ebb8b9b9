/**
 * The books of the segments: which value lies where, and how much of each segment anybody still wants. Kept in
 * memory, about 200 bytes for each large value; made from the pointers when the database is opened.
 */
import type { Place } from './bulk-place.ts';

/** A segment is full at this size; only a value that is larger than this itself makes a larger one. */
export const SEGMENT_BYTES = 16 * 1024 * 1024;
/** A full segment of which less than this share is wanted is to give the rest back. */
const SPARSE = 1 / 4;
/**
 * So many of those, the youngest, are left alone: payloads come and go in much the same order, so what is wanted
 * of these is likely to go by itself.
 */
const SPARED = 2;

interface Segment {
  /** Where its file ends, or will once what was reserved is written. Zero where the file is missing. */
  size: number;
  live: number;
  /** The names of its live values. */
  readonly names: Set<string>;
  /** True where something of it cannot be read: it stays as it is. */
  left: boolean;
}

export class BulkIndex {
  readonly #places = new Map<string, Place>();
  readonly #segments = new Map<number, Segment>();
  /** The highest number there is. */
  #last = 0;
  /** The segment that is appended to. */
  #active: number | undefined;
  #empty: readonly number[] = [];
  #sparse: readonly Segment[] = [];
  #stale = true;

  /** `sizes` are those of the files that there are. */
  constructor(sizes: ReadonlyMap<number, number>, places: Iterable<readonly [string, Place]>) {
    for (const [number, size] of sizes) this.#segment(number).size = size;
    for (const [name, place] of places) this.set(name, place);
    const last = this.#segments.get(this.#last);
    // One that is shorter than it should be is damaged, and not made less clear by writing on.
    const whole = [...(last?.names ?? [])].every((name) => this.holds(this.#places.get(name)));
    if (sizes.has(this.#last) && whole) this.#active = this.#last;
  }

  find(name: string): Place | undefined {
    return this.#places.get(name);
  }

  /** The names that begin so, as they are now. */
  beginningWith(prefix: string): readonly string[] {
    return [...this.#places.keys()].filter((name) => name.startsWith(prefix));
  }

  /** False where the segment ends before the value does, or is missing. */
  holds(place: Place | undefined): boolean {
    const size = place === undefined ? undefined : this.#segments.get(place.segment)?.size;
    return place !== undefined && size !== undefined && place.offset + place.length <= size;
  }

  /** A place behind everything that was appended before. */
  reserve(length: number): Place {
    const active = this.#active === undefined ? undefined : this.#segment(this.#active);
    const hasRoom = active !== undefined && active.size + length <= SEGMENT_BYTES;
    const number = hasRoom && this.#active !== undefined ? this.#active : this.#last + 1;
    const segment = this.#segment(number);
    const place = { segment: number, offset: segment.size, length };
    segment.size += length;
    this.#active = number;
    this.#stale = true;
    return place;
  }

  /** The value of this name lies there from now on, or in no segment. */
  set(name: string, place: Place | undefined): void {
    const before = this.#places.get(name);
    if (before !== undefined) {
      const segment = this.#segment(before.segment);
      segment.live -= before.length;
      segment.names.delete(name);
      this.#places.delete(name);
      this.#stale = true;
    }
    if (place !== undefined) {
      const segment = this.#segment(place.segment);
      segment.live += place.length;
      segment.names.add(name);
      this.#places.set(name, place);
      this.#stale = true;
    }
  }

  /** Segments that hold nothing any more, but for the one that is appended to. */
  empty(): readonly number[] {
    this.#review();
    return this.#empty;
  }

  forget(segment: number): void {
    this.#segments.delete(segment);
    this.#stale = true;
  }

  /** The values that stand in the way of giving back what is dead around them; segment by segment. */
  *carryable(): Generator<readonly [string, Place]> {
    this.#review();
    for (const segment of this.#sparse) {
      for (const name of segment.names) {
        const place = this.#places.get(name);
        if (segment.left) break;
        if (place !== undefined) yield [name, place];
      }
    }
  }

  /** This segment is damaged: what is left of it stays where it is. */
  leave(number: number): void {
    this.#segment(number).left = true;
    this.#stale = true;
  }

  #segment(number: number): Segment {
    let segment = this.#segments.get(number);
    if (segment === undefined) {
      segment = { size: 0, live: 0, names: new Set(), left: false };
      this.#segments.set(number, segment);
      this.#last = Math.max(this.#last, number);
    }
    return segment;
  }

  #review(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const full = [...this.#segments]
      .filter(([number]) => number !== this.#active)
      .sort(([one], [other]) => one - other);
    this.#empty = full.filter(([, { names }]) => names.size === 0).map(([number]) => number);
    this.#sparse = full
      .map(([, segment]) => segment)
      .filter(({ live, size, names, left }) => names.size > 0 && live < size * SPARSE && !left)
      .slice(0, -SPARED);
  }
}
