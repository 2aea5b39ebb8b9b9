/** A daemon whose broker comes and goes for as long as it lives keeps nothing of the connections that were. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../brokers/loopback.ts';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { makeMesh } from '../process/make-mesh.ts';
import { as, compile, type MeshProcess, mesh, up } from '../process/mesh-process.ts';
import { patientClient } from './caller.ts';

const MINUTE = 60_000;
const RESTARTS = Number(process.env.BROKER_RESTARTS ?? 200);
/** Until then caches fill and the compiler works. */
const WARM_UP = Math.floor(RESTARTS / 4);
const MOST_GROWTH_MB = 16;

let dir: string;
beforeAll(async () => {
  await compile();
  dir = await mkdtemp(join(tmpdir(), 'mesh-restarts-'));
}, MINUTE);
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Footprint {
  readonly handles: number;
  readonly megabytes: number;
}

async function footprint({ child }: MeshProcess): Promise<Footprint> {
  const handles = (await readdir(`/proc/${child.pid}/fd`)).length;
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return { handles, megabytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024 };
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

const connections = (daemon: MeshProcess): number =>
  daemon.events.filter(({ event }) => event === 'connected').length;

it.skipIf(!hasMosquitto || !existsSync('/proc/self/fd'))(
  `${RESTARTS} restarts of the broker leave no handle and no memory behind${hasMosquitto ? '' : `: ${withoutMosquitto}`}`,
  async () => {
    const broker = await startMosquitto({ persistence: true });
    const [laptop, phone] = await makeMesh({ count: 2, dir, brokerUrl: broker.url });
    if (laptop === undefined || phone === undefined) throw new Error('two devices were made');
    const [daemon, other] = [await up(laptop), await up(phone)];
    const client = await patientClient(laptop.home);
    const seen: Footprint[] = [];
    try {
      for (let restart = 0; restart < RESTARTS; restart++) {
        const before = connections(daemon);
        await broker.kill();
        await client.call('send', { target: phone.deviceId, text: `message ${restart}` });
        await broker.restart();
        await eventually(() => connections(daemon) > before, 'it is connected again', MINUTE);
        // By itself it would wait longer after each, up to a minute; whoever sets the broker wants it now.
        await client.call('config.set', { key: 'broker', value: broker.url });
        await eventually(() => connections(daemon) > before + 1, 'it is connected anew', MINUTE);
        seen.push(await footprint(daemon));
      }
      await mesh(['config', 'set', 'broker', broker.url, ...as(phone)]);
      const args = ['--wait', 'delivered', '--timeout', '60s'];
      const last = await mesh(['send', phone.deviceId, 'the last one', ...args, ...as(laptop)]);
      expect(last.status, last.stdout).toBe(0);
      const got = await mesh(['listen', '--count', `${RESTARTS + 1}`, '--timeout', '60s', ...as(phone)]);
      expect(got.events.map(({ text }) => text)).toEqual([
        ...Array.from({ length: RESTARTS }, (_, i) => `message ${i}`),
        'the last one',
      ]);
    } finally {
      client.close();
      await Promise.all([daemon.stop(), other.stop()]);
      await broker.stop();
    }
    const window = Math.max(1, Math.floor(RESTARTS / 10));
    const early = seen.slice(WARM_UP, WARM_UP + window);
    const late = seen.slice(-window);
    const growth = (of: (one: Footprint) => number): number => median(late.map(of)) - median(early.map(of));
    expect(growth(({ handles }) => handles)).toBe(0);
    expect(growth(({ megabytes }) => megabytes)).toBeLessThan(MOST_GROWTH_MB);
  },
  20 * MINUTE,
);
