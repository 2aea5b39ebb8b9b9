import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/home.ts';
import { wrongClock } from './clock.ts';

const HOUR = 3_600_000;

test('a clock that was set wrong is wrong in a process, and only its wall clock', async () => {
  const dir = await temporaryDirectory();
  try {
    const clock = wrongClock(join(dir, 'clock'));
    const seen = (shift: number): number[] => {
      clock.set(shift);
      const script =
        'console.log(JSON.stringify([Date.now(), +new Date(), Date.parse(Date()), +new Date(5)]))';
      const env = { ...process.env, ...clock.environment };
      return JSON.parse(execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' }));
    };
    for (const shift of [0, 30 * HOUR, -30 * HOUR]) {
      const [now = 0, made = 0, called = 0, given] = seen(shift);
      for (const one of [now, made, called]) expect(Math.abs(one - Date.now() - shift)).toBeLessThan(10_000);
      expect(given).toBe(5);
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
