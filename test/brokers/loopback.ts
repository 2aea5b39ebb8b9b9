/** Small things that every test with a real connection needs. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { Randomness } from '../../src/usecases/ports/randomness.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delay, call) {
    const timer = setTimeout(call, delay);
    return () => clearTimeout(timer);
  },
};

export const realRandomness: Randomness = (length) => new Uint8Array(randomBytes(length));

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}

/** Asks again and again, without a fixed pause, until it holds or the time is over. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  limit = 10_000,
): Promise<void> {
  const end = performance.now() + limit;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
