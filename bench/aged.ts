/**
 * Daemons that have passed a hundred thousand messages, beside daemons that have passed a hundred: what a message costs
 * must not grow with what is behind it, and neither must what they keep in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../test/brokers/mosquitto.ts';
import { makeMesh } from '../test/process/make-mesh.ts';
import { as, compile, type MeshProcess, mesh, up } from '../test/process/mesh-process.ts';
import { Player } from './player.ts';
import { cpuTime, residentMegabytes } from './process-cost.ts';
import { against, inTurn, type Row } from './rows.ts';
import type { socketCaller } from './socket-caller.ts';

const FEW = 100;
const MANY = 100_000;
const BYTES = 100;
const BURST = 10_000;
const ROUNDS = 7;
const GROWTH = 1.1;
const MEGABYTES = 130;

interface Pair {
  readonly daemons: readonly [MeshProcess, MeshProcess];
  /** Hands over so many messages and waits until all are acknowledged. */
  pass(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function agedRows(): Promise<Row[]> {
  if (!hasMosquitto) {
    console.error(withoutMosquitto);
    return [];
  }
  await compile();
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto();
  const opened: Pair[] = [];
  try {
    const aged = await startPair(join(dir, 'aged'), broker.url);
    opened.push(aged);
    const fresh = await startPair(join(dir, 'fresh'), broker.url);
    opened.push(fresh);
    await aged.pass(MANY);
    const memory = await Promise.all(aged.daemons.map(({ child }) => residentMegabytes(child.pid ?? 0)));
    await fresh.pass(FEW);
    const measured = await inTurn(ROUNDS, { fresh: () => cost(fresh), aged: () => cost(aged) });
    const [sender = Number.NaN, receiver = Number.NaN] = memory;
    const resident = (which: string, median: number): Row => ({
      name: `resident memory after ${MANY} messages, ${which}`,
      unit: 'MB',
      median,
      min: median,
      max: median,
      most: MEGABYTES,
    });
    return [
      {
        name: `processor for a message of ${BYTES} B, both daemons, after ${FEW}`,
        unit: 'µs',
        ...measured.fresh,
      },
      {
        name: `processor for a message of ${BYTES} B, both daemons, after ${MANY}`,
        unit: 'µs',
        ...measured.aged,
        against: [against(`after ${FEW}`, measured.aged, measured.fresh, { most: GROWTH })],
      },
      resident('sender', sender),
      resident('receiver', receiver),
    ];
  } finally {
    for (const pair of opened) await pair.close();
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function startPair(dir: string, brokerUrl: string): Promise<Pair> {
  const [from, to] = await makeMesh({ count: 2, dir, brokerUrl });
  if (from === undefined || to === undefined) throw new Error('two were asked for');
  const daemons = [await up(from), await up(to)] as const;
  const caller = new Player<typeof socketCaller>('socket-caller');
  await caller.call('open', from.home);
  const met = await mesh([
    'send',
    to.deviceId,
    'hello',
    '--wait',
    'delivered',
    '--timeout',
    '20s',
    ...as(from),
  ]);
  if (met.status !== 0) throw new Error(met.stdout + met.stderr);
  return {
    daemons,
    async pass(count) {
      await caller.call('burst', to.deviceId, BYTES, count);
      await caller.call('delivered');
    },
    async close() {
      await caller.end();
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    },
  };
}

/** Microseconds on a processor, of both, for each message. */
async function cost({ daemons, pass }: Pair): Promise<number> {
  const used = async (): Promise<number> => {
    const each = await Promise.all(daemons.map(({ child }) => cpuTime(child.pid ?? 0)));
    return each.reduce((sum, time) => sum + time, 0);
  };
  const before = await used();
  await pass(BURST);
  return (1000 * ((await used()) - before)) / BURST;
}
