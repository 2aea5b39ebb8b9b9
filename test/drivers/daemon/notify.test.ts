import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNotifier, watchdogPause } from '../../../src/drivers/daemon/notify.ts';
import { eventually } from '../../brokers/loopback.ts';
import { temporaryDirectory } from '../../support/home.ts';

let base: string;
let log: string;

beforeEach(async () => {
  base = await temporaryDirectory();
  log = join(base, 'log');
  await writeFile(log, '');
});
afterEach(() => rm(base, { recursive: true, force: true }));

/** A "systemd-notify" that writes down what it is told, takes its time with the first, and ends with `status`. */
async function environment(status = 0): Promise<Record<string, string>> {
  const fake = join(base, 'systemd-notify');
  await writeFile(
    fake,
    `#!/bin/sh\n[ "$1" = --ready ] && sleep 0.2\necho "$*" >> '${log}'\nexit ${status}\n`,
  );
  await chmod(fake, 0o755);
  return { PATH: `${base}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/nobody' };
}
const told = async (): Promise<readonly string[]> => (await readFile(log, 'utf8')).split('\n').slice(0, -1);

test('systemd is told when the daemon is ready, how it is, and that it stops', async () => {
  const notifier = createNotifier(await environment(), 1);
  notifier.ready();
  notifier.status('connected to\nmqtt://x');
  await eventually(async () => (await told()).length === 2, 'both are said');
  notifier.stopping();
  await eventually(async () => (await told()).length === 3, 'the end is said');
  expect(await told()).toEqual(['--ready STATUS=running', 'STATUS=connected to mqtt://x', 'STOPPING=1']);
});

test('it is told again and again that the daemon lives, until it stops', async () => {
  const notifier = createNotifier({ ...(await environment()), WATCHDOG_USEC: '100000' }, 1);
  notifier.ready();
  const signs = async (): Promise<number> => (await told()).filter((line) => line === 'WATCHDOG=1').length;
  await eventually(async () => (await signs()) >= 3, 'three signs of life');
  notifier.stopping();
  await eventually(async () => (await told()).includes('STOPPING=1'), 'the end is said');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const last = await signs();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await signs()).toBe(last);
});

test('nobody is told anything where systemd did not start it', async () => {
  const { NOTIFY_SOCKET: _, ...rest } = await environment();
  const notifier = createNotifier({ ...rest, WATCHDOG_USEC: '1000' }, 1);
  notifier.ready();
  notifier.stopping();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await told()).toEqual([]);
});

test('a program that is missing, or fails, is no trouble', async () => {
  const failing = createNotifier(await environment(1), 1);
  failing.ready();
  failing.status('still here');
  await eventually(async () => (await told()).length === 2, 'both are tried');
  const missing = createNotifier({ PATH: '/nonexistent', NOTIFY_SOCKET: '/run/nobody' }, 1);
  missing.ready();
  missing.stopping();
  await new Promise((resolve) => setTimeout(resolve, 100));
});

test.each([
  [{ WATCHDOG_USEC: '60000000' }, 30_000],
  [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' }, 30_000],
  [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' }, undefined],
  [{ WATCHDOG_USEC: '1' }, 1],
  [{ WATCHDOG_USEC: '9999999999999999' }, 2 ** 31 - 1],
  [{ WATCHDOG_USEC: '0' }, undefined],
  [{ WATCHDOG_USEC: 'x' }, undefined],
  [{}, undefined],
])('the sign of life comes at half of what is waited for: %j', (given, pause) => {
  expect(watchdogPause(given, 7)).toBe(pause);
});
