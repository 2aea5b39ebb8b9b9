/** Time as the use cases know it. Both platforms and the simulator supply it. */
export interface Clock {
  /** Milliseconds since 1970, as the person's clock shows; it may jump. */
  now(): number;
  /** Milliseconds that this process has been running; it never jumps and never goes back. */
  elapsed(): number;
  /** Calls once, `delay` milliseconds from now, unless cancelled before. */
  after(delay: number, call: () => void): Cancel;
}

export type Cancel = () => void;
