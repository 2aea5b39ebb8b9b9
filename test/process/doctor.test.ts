/** What the check-up finds at real brokers, with a daemon and without one. */
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../brokers/loopback.ts';
import {
  hasMosquitto,
  type Mosquitto,
  type MosquittoSettings,
  startMosquitto,
  withoutMosquitto,
} from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, type MeshOptions, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, type MeshProcess, mesh, up } from './mesh-process.ts';

const ALL = [
  'store',
  'permissions',
  'clock',
  'broker-login',
  'publish-subscribe',
  'offline-queue',
  'packet-limit',
  'member',
  'conduct',
];

let base: string;
let broker: Mosquitto | undefined;
let running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  for (const one of running) await one.stop('SIGKILL');
  running = [];
  await broker?.stop();
  broker = undefined;
  await rm(base, { recursive: true, force: true });
});

async function laptopAt(options: Partial<MeshOptions>): Promise<MeshDevice> {
  const [laptop] = await makeMesh({ count: 2, dir: base, ...options });
  if (laptop === undefined) throw new Error('two were asked for');
  return laptop;
}
async function mosquitto(settings?: MosquittoSettings): Promise<MeshDevice> {
  broker = await startMosquitto(settings);
  const [first] = Object.entries(settings?.logins ?? {});
  const login = first === undefined ? undefined : { user: first[0], password: first[1] };
  return laptopAt({ brokerUrl: broker.url, login });
}
const daemonOf = async (device: MeshDevice, ...args: readonly string[]): Promise<MeshProcess> => {
  const daemon = await up(device, ...args);
  running.push(daemon);
  return daemon;
};
const checks = (ended: Ended) => ended.events.filter((event) => event.check !== undefined);
const failures = (ended: Ended): unknown[] =>
  checks(ended)
    .filter(({ ok }) => ok !== true)
    .map(({ check }) => check);

/** Each line has its four fields, and whatever failed says what to do; the status is that of the whole. */
function expectFailures(ended: Ended, expected: readonly string[]): void {
  for (const line of checks(ended)) {
    expect(line).toMatchObject({
      check: expect.any(String),
      ok: expect.any(Boolean),
      detail: expect.any(String),
    });
    if (line.ok === true) expect(line.hint).toBeNull();
    else expect(String(line.hint).length).toBeGreaterThan(10);
  }
  expect(failures(ended)).toEqual(expected);
  expect(ended.status).toBe(expected.length === 0 ? 0 : 1);
  expect(ended.events.at(-1)?.code).toBe(expected.length === 0 ? undefined : 'doctor-failed');
}

describe.skipIf(!hasMosquitto)(`at a Mosquitto${hasMosquitto ? '' : `: ${withoutMosquitto}`}`, () => {
  test.each(['one-shot', 'daemon'])('all is well, and nobody else notices the check: %s', async (host) => {
    const laptop = await mosquitto();
    const daemon = host === 'daemon' ? await daemonOf(laptop) : undefined;
    const ended = await mesh(['doctor', ...as(laptop)]);
    expectFailures(ended, []);
    expect(checks(ended).map(({ check }) => check)).toEqual(ALL);
    expect(daemon?.events.map(({ event }) => event) ?? []).not.toContain('disconnected');
    expect((await mesh(['status', ...as(laptop)])).events[0]).toMatchObject({ refused: {}, incidents: [] });
  });

  test('people read a line for each check', async () => {
    const laptop = await mosquitto();
    const ended = await mesh(['doctor', ...as(laptop).filter((word) => word !== '--json')]);
    expect(ended.stdout.split('\n').filter((line) => line.startsWith('ok  '))).toHaveLength(ALL.length);
  });

  test.each([['message_size_limit 100000'], ['max_packet_size 100000']])(
    'one that takes small packets only is found out: %s',
    async (line) => {
      expectFailures(await mesh(['doctor', ...as(await mosquitto({ extra: [line] }))]), ['packet-limit']);
    },
  );

  test('one that keeps next to nothing for those who are away is found out', async () => {
    const laptop = await mosquitto({ extra: ['max_queued_messages 1'] });
    expectFailures(await mesh(['doctor', ...as(laptop)]), ['offline-queue']);
  });

  test('one that lets us read and not write is found out', async () => {
    const laptop = await mosquitto({ acl: ['topic read #'] });
    expectFailures(await mesh(['doctor', ...as(laptop)]), [
      'publish-subscribe',
      'offline-queue',
      'packet-limit',
    ]);
  });

  test('one that does not know our password is found out', async () => {
    broker = await startMosquitto({ logins: { alice: 'right' } });
    const login = { user: 'alice', password: 'wrong' };
    const laptop = await laptopAt({ brokerUrl: broker.url, login });
    const ended = await mesh(['doctor', ...as(laptop)]);
    expectFailures(ended, ['broker-login', 'publish-subscribe', 'offline-queue', 'packet-limit']);
    expect(JSON.stringify(ended.events)).not.toContain('wrong"');
  });

  test('one that has one session for each login is left as it was, and the daemon connected', async () => {
    const laptop = await mosquitto({
      logins: { alice: 'right' },
      extra: ['use_username_as_clientid true'],
    });
    await daemonOf(laptop);
    const ended = await mesh(['doctor', ...as(laptop)]);
    expectFailures(ended, []);
    expect(checks(ended).find(({ check }) => check === 'offline-queue')?.detail).toContain('not looked at');
    const status = await mesh(['status', ...as(laptop)]);
    expect(status.events[0]?.broker).toMatchObject({ connected: true });
  });
});

test('the embedded broker has one session for each login, and is not asked for two', async () => {
  const embeddedPort = await freePort();
  const laptop = await laptopAt({ embeddedPort });
  const daemon = await daemonOf(laptop, '--embedded-broker', `127.0.0.1:${embeddedPort}`);
  const ended = await mesh(['doctor', ...as(laptop)]);
  expectFailures(ended, []);
  expect(daemon.events.map(({ event }) => event)).not.toContain('disconnected');
});

test('a broker that is not there fails what needs it, and nothing else', async () => {
  const laptop = await laptopAt({ brokerUrl: `mqtt://127.0.0.1:${await freePort()}` });
  const ended = await mesh(['doctor', ...as(laptop)]);
  expectFailures(ended, ['broker-login', 'publish-subscribe', 'offline-queue', 'packet-limit']);
});

test('a store that is open to others, and one that is not there, fail before anything else', async () => {
  const laptop = await laptopAt({});
  await chmod(join(laptop.home, 'header'), 0o644);
  const open = await mesh(['doctor', ...as(laptop)]);
  expectFailures(open, ['permissions']);
  expect(checks(open)[0]?.hint).toContain('chmod');
  const missing = await mesh(['doctor', '--json', '--home', join(base, 'nowhere')]);
  expectFailures(missing, ['store']);
});
