/**
 * Messages from daemon to daemon through a Mosquitto on this machine, durable at both ends and acknowledged by the
 * recipient, beside MQTT.js alone through the same Mosquitto, which keeps nothing and hides nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../test/brokers/mosquitto.ts';
import { makeMesh } from '../test/process/make-mesh.ts';
import { Player } from './player.ts';
import type { rawMqtt } from './raw-mqtt.ts';
import { inTurn, type Row } from './rows.ts';
import type { socketCaller } from './socket-caller.ts';
import type { station } from './station.ts';

const SIZES = {
  '100 B': { bytes: 100, count: 20_000 },
  '1 KiB': { bytes: 1024, count: 20_000 },
  '16 KiB': { bytes: 16 * 1024, count: 2000 },
  '64 KiB': { bytes: 64 * 1024, count: 800 },
} as const;
const ROUNDS = Number(process.env.ROUNDS ?? 5);

export async function meshRows(profileInto: string | undefined): Promise<Row[]> {
  if (!hasMosquitto) {
    console.error(withoutMosquitto);
    return [];
  }
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto({
    extra: ['max_queued_messages 0', ...(process.env.NODELAY ? ['set_tcp_nodelay true'] : [])],
  });
  const alice = new Player<typeof station>('station', { profileInto });
  const bob = new Player<typeof station>('station', { profileInto });
  const publisher = new Player<typeof rawMqtt>('raw-mqtt');
  const subscriber = new Player<typeof rawMqtt>('raw-mqtt');
  const rows: Row[] = [];
  try {
    const [a, b] = await makeMesh({ count: 2, dir, brokerUrl: broker.url });
    if (a === undefined || b === undefined) throw new Error('two were asked for');
    await Promise.all([alice.call('open', a), bob.call('open', b)]);
    await publisher.call('open', broker.url, 'bench/a');
    await subscriber.call('open', broker.url, 'bench/b');
    await alice.call('burst', [b.deviceId], 1, 1);
    for (const [name, { bytes, count }] of Object.entries(SIZES)) {
      if (process.env.SIZE !== undefined && process.env.SIZE !== name) continue;
      const cpu: number[] = [];
      const measured = await inTurn(ROUNDS, {
        raw: async () => {
          const all = subscriber.call('expect', count);
          const began = performance.now();
          await Promise.all([publisher.call('burst', 'bench/b', bytes, count), all]);
          return (1000 * count) / (performance.now() - began);
        },
        mesh: async () => {
          const before = await bob.call('use');
          const { milliseconds, cpuMilliseconds } = await alice.call('burst', [b.deviceId], bytes, count);
          const after = await bob.call('use');
          cpu.push(
            (1000 * cpuMilliseconds) / count,
            (1000 * (after.cpuMilliseconds - before.cpuMilliseconds)) / count,
          );
          return (1000 * count) / milliseconds;
        },
      });
      console.error(name, 'cpu µs/message sender, receiver', cpu.map((n) => n.toFixed(0)).join(' '));
      rows.push({ name: `raw MQTT ${name}`, unit: '/s', ...measured.raw });
      rows.push({
        name: `mesh one way ${name}`,
        unit: '/s',
        ...measured.mesh,
        reference: { name: 'raw', ratio: measured.mesh.median / measured.raw.median },
      });
    }
    if (process.env.SIZE === undefined || process.env.SIZE === 'socket') {
      const caller = new Player<typeof socketCaller>('socket-caller', { profileInto });
      await caller.call('open', a.home);
      const count = 20_000;
      const measured = await inTurn(ROUNDS, {
        raw: async () => {
          const all = subscriber.call('expect', count);
          const began = performance.now();
          await Promise.all([publisher.call('burst', 'bench/b', 1024, count), all]);
          return (1000 * count) / (performance.now() - began);
        },
        mesh: async () => {
          const began = performance.now();
          await caller.call('burst', b.deviceId, 1024, count);
          await alice.call('still');
          return (1000 * count) / (performance.now() - began);
        },
      });
      rows.push({ name: 'raw', unit: '/s', ...measured.raw });
      rows.push({
        name: 'mesh socket',
        unit: '/s',
        ...measured.mesh,
        reference: { name: 'raw', ratio: measured.mesh.median / measured.raw.median },
      });
      await caller.end();
    }
    if (process.env.SIZE === undefined || process.env.SIZE === 'ping') {
      await subscriber.call('echo', 'bench/a');
      await bob.call('echo');
      const p = async (x: Promise<readonly number[]>): Promise<number> => {
        const s = [...(await x)].sort((i, j) => i - j);
        console.error('p50', s[s.length >> 1], 'p99', s[Math.floor(s.length * 0.99)]);
        return s[s.length >> 1] ?? 0;
      };
      const measured = await inTurn(ROUNDS, {
        raw: () => p(publisher.call('pingPong', 'bench/b', 1024, 300)),
        mesh: () => p(alice.call('pingPong', b.deviceId, 1024, 300)),
      });
      rows.push({ name: 'raw ping-pong', unit: 'ms', ...measured.raw });
      rows.push({ name: 'mesh ping-pong', unit: 'ms', ...measured.mesh });
    }
    await Promise.all([alice.call('close'), bob.call('close')]);
    return rows;
  } finally {
    await Promise.all([alice, bob, publisher, subscriber].map((one) => one.end()));
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
