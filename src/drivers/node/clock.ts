import type { Clock } from '../../usecases/ports/clock.ts';

/** Node takes a longer delay for none at all. */
const LONGEST = 2 ** 31 - 1;

/**
 * Timers do not keep the process alive: a process that has nothing left but to wait for one has nothing left
 * to do.
 */
export const nodeClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delay, call) {
    if (delay <= 0) {
      // A timer would take a millisecond at least, and each message waits in such turns more than once. It is not
      // let go of as timers are: such an immediate waits until something else happens.
      const turn = setImmediate(call);
      return () => clearImmediate(turn);
    }
    let timer: NodeJS.Timeout;
    const wait = (rest: number) => {
      const piece = Math.min(Math.max(rest, 0), LONGEST);
      timer = setTimeout(() => (rest > piece ? wait(rest - piece) : call()), piece);
      timer.unref();
    };
    wait(delay);
    return () => clearTimeout(timer);
  },
};
