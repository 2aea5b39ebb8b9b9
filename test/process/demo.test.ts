/** `mesh demo`: it tells the whole story, and nothing of it is left, however it ends. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { compile, type Event, MeshProcess, mesh } from './mesh-process.ts';

/** What a person waits for is promised to be over by then. */
const PROMISED = 15_000;

let base: string;
let running: MeshProcess | undefined;

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  await running?.stop('SIGKILL');
  running = undefined;
  await rm(base, { recursive: true, force: true });
});

const env = () => ({ TMPDIR: base, MESH_HOME: `${base}/not-mine`, MESH_PASSPHRASE_FILE: `${base}/nor-this` });

/** The processes that were started for this directory. */
async function processes(): Promise<number> {
  let count = 0;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    if (line.includes(base)) count += 1;
  }
  return count;
}

async function nothingIsLeft(): Promise<void> {
  expect(await readdir(base)).toEqual([]);
  if (process.platform === 'linux') expect(await processes()).toBe(0);
}

test('it pairs two devices, lets them talk, removes one, and says each step to a program', async () => {
  const began = performance.now();
  const { status, events, stderr, stdout } = await mesh(['demo', '--json'], { env: env() });
  expect(status, stdout + stderr).toBe(0);
  expect(performance.now() - began).toBeLessThan(PROMISED);
  const steps = events.filter(({ event }) => event === 'step');
  const step = (name: string): Event => steps.find(({ step }) => step === name) ?? {};
  expect(steps.map(({ step }) => step)).toEqual(
    'begin laptop invite code approve joined message message revoke told out closed'.split(' '),
  );
  expect(step('code').code).toMatch(/^\d{8}$/);
  expect(steps.filter(({ step }) => step === 'message')).toMatchObject([
    { from: 'laptop', to: 'phone', received: 'Hello, phone!' },
    { from: 'phone', to: 'laptop', received: 'Hello, laptop!' },
  ]);
  expect(step('told').code).toBe('device-revoked');
  expect(step('out').code).toBe('device-revoked');
  expect(step('closed').code).toBe('device-not-member');
  expect(events.at(-1)).toMatchObject({ event: 'done' });
  expect(stderr).toBe('');
  await nothingIsLeft();
});

test('to a person it tells the same in sentences', async () => {
  const { status, stdout } = await mesh(['demo'], { env: env() });
  expect(status).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.length).toBe(13);
  for (const line of lines) expect(line).toMatch(/^[A-Z].*[.!]$/);
  expect(stdout).toContain('types that code');
});

test.each([
  ['begin', 'SIGINT'],
  ['code', 'SIGINT'],
  ['joined', 'SIGTERM'],
  ['revoke', 'SIGHUP'],
] as const)('when it is ended at "%s" with %s, nothing is left either', async (at, signal) => {
  const demo = new MeshProcess(['demo', '--json'], { env: env() });
  running = demo;
  await eventually(() => demo.events.some(({ step }) => step === at), `it comes to "${at}"`, PROMISED);
  const began = performance.now();
  const { status, events } = await demo.stop(signal);
  expect(performance.now() - began).toBeLessThan(3000);
  expect(status).toBe(1);
  expect(events.at(-1)).toMatchObject({ event: 'error', code: 'demo-failed' });
  await nothingIsLeft();
});
