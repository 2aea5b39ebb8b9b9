/**
 * A clock that stands still until it is told to go on. Everything that waits on it happens in one order, the
 * same each time: by time, and at the same time in the order of asking.
 */
import type { Cancel, Clock } from '../../usecases/ports/clock.ts';

interface Waiting {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class VirtualClock implements Clock {
  #elapsed = 0;
  #offset: number;
  #asked = 0;
  #waiting: Waiting[] = [];

  constructor(startsAt = 1_700_000_000_000) {
    this.#offset = startsAt;
  }

  now(): number {
    return this.#elapsed + this.#offset;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  after(delay: number, call: () => void): Cancel {
    const entry = { at: this.#elapsed + Math.max(0, delay), order: this.#asked++, call };
    const index = this.#waiting.findLastIndex((other) => other.at <= entry.at) + 1;
    this.#waiting.splice(index, 0, entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }

  /** The person's clock jumps; what waits does not notice. */
  jump(by: number): void {
    this.#offset += by;
  }

  /** How long until the next call, or `undefined` where nothing waits. */
  untilNext(): number | undefined {
    const [next] = this.#waiting;
    return next === undefined ? undefined : next.at - this.#elapsed;
  }

  /** Makes the next call, moving the time to it. Returns false where nothing waits. */
  step(): boolean {
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.#elapsed = next.at;
    next.call();
    return true;
  }

  /** Lets time pass up to a moment before which nothing is left to call. */
  pass(by: number): void {
    this.#elapsed += by;
  }
}
