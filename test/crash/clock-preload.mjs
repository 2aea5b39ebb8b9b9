/**
 * Loaded into a process before the program: its wall clock goes wrong by as many milliseconds as a file says, and
 * goes on going wrong as the file changes. Time that has passed (`performance.now`, timers) stays right, as it does
 * where somebody sets a clock.
 */
import { readFileSync } from 'node:fs';

const file = process.env.CRASH_CLOCK;
const RealDate = Date;
let shift = 0;
shift = read();
setInterval(() => {
  shift = read();
}, 20).unref();

function read() {
  try {
    return Number.parseInt(readFileSync(file, 'latin1'), 10) || 0;
  } catch {
    return shift;
  }
}

const now = () => RealDate.now() + shift;
const handler = {
  construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made),
  apply: () => new RealDate(now()).toString(),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
};
globalThis.Date = new Proxy(RealDate, handler);
