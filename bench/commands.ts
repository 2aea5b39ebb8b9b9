/** What a shell feels, beside a Node script that does nothing, and what a daemon costs that has nothing to do. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../test/brokers/mosquitto.ts';
import { type MeshDevice, makeMesh } from '../test/process/make-mesh.ts';
import { as, BUNDLE, bundle, MeshProcess, mesh, up } from '../test/process/mesh-process.ts';
import { cpuTime, residentMegabytes } from './process-cost.ts';
import { type Aim, against, inTurn, type Row, time } from './rows.ts';

const ROUNDS = 9;
const SEND_WITH_DAEMON = 2.5;
const SEND_ALONE = 9;
const START = 8;
const IDLE_MEGABYTES = 90;
const IDLE_PERCENT = 0.5;
/** How long what a start has stirred up takes to come to rest. */
const SETTLE = 15_000;

export async function commandRows({ idleSeconds }: { readonly idleSeconds: number }): Promise<Row[]> {
  if (!hasMosquitto) {
    console.error(withoutMosquitto);
    return [];
  }
  await bundle();
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto();
  const running: MeshProcess[] = [];
  try {
    const devices = await makeMesh({ count: 4, dir, brokerUrl: broker.url });
    const [daemon, ...others] = devices;
    const alone = others.pop();
    if (daemon === undefined || alone === undefined) throw new Error('four were asked for');
    running.push(await up(daemon), ...(await Promise.all(others.map((other) => up(other)))));
    const rows = await sendRows(dir, daemon, alone);
    running.push(await up(alone));
    const [first] = running;
    if (first === undefined) throw new Error('a daemon was started');
    rows.push(...(await idleRows(first, idleSeconds)));
    return rows;
  } finally {
    await Promise.all(running.map((one) => one.stop()));
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function sendRows(dir: string, daemon: MeshDevice, alone: MeshDevice): Promise<Row[]> {
  const empty = join(dir, 'empty.mjs');
  writeFileSync(empty, '');
  const run = async (program: string, args: readonly string[]): Promise<number> => {
    const microseconds = await time(1, () => succeeds(program, args));
    return microseconds / 1000;
  };
  // They have to have met: as long as two devices share no session, nothing can be encrypted.
  const met = await mesh([
    'send',
    daemon.deviceId,
    'hello',
    '--wait',
    'delivered',
    '--timeout',
    '20s',
    ...as(alone),
  ]);
  if (met.status !== 0) throw new Error(met.stdout);
  const published = ['--wait', 'published', '--timeout', '20s'];
  const measured = await inTurn(ROUNDS, {
    empty: () => run(empty, []),
    withDaemon: () => run(BUNDLE, ['send', alone.deviceId, 'hello', ...as(daemon)]),
    alone: () => run(BUNDLE, ['send', daemon.deviceId, 'hello', ...published, ...as(alone)]),
    start: () => untilReady(alone),
  });
  const row = (name: string, key: keyof typeof measured, aim: Aim): Row => ({
    name,
    unit: 'ms',
    ...measured[key],
    against: [against('an empty Node script', measured[key], measured.empty, aim)],
  });
  return [
    { name: 'an empty Node script', unit: 'ms', ...measured.empty },
    row('mesh send, with a daemon', 'withDaemon', { most: SEND_WITH_DAEMON }),
    row('mesh send --wait published, without a daemon', 'alone', { most: SEND_ALONE }),
    row('mesh up with a key file, until it says that it is ready', 'start', { most: START }),
  ];
}

/** As a shell runs it, but for the shell. */
function succeeds(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (status) => {
      if (status === 0) resolve();
      else reject(new Error(`${program} ${args[0]} ended with ${status}`));
    });
  });
}

async function untilReady(device: MeshDevice): Promise<number> {
  const began = performance.now();
  const daemon = new MeshProcess(['up', ...as(device)], { program: BUNDLE });
  await daemon.saw('ready');
  const took = performance.now() - began;
  await daemon.stop();
  return took;
}

async function idleRows({ child }: MeshProcess, seconds: number): Promise<Row[]> {
  const pid = child.pid ?? 0;
  await pause(SETTLE);
  const parts: number[] = [];
  const memory: number[] = [];
  const PARTS = 5;
  const began = { at: performance.now(), used: await cpuTime(pid) };
  let last = began;
  for (let part = 0; part < PARTS; part++) {
    await pause((seconds * 1000) / PARTS);
    const now = { at: performance.now(), used: await cpuTime(pid) };
    parts.push((100 * (now.used - last.used)) / (now.at - last.at));
    memory.push(await residentMegabytes(pid));
    last = now;
  }
  const whole = (100 * (last.used - began.used)) / (last.at - began.at);
  const [low, high] = [Math.min(...parts), Math.max(...parts)];
  const resident = [...memory].sort((a, b) => a - b);
  const at = (i: number): number => resident[i] ?? Number.NaN;
  return [
    {
      name: 'idle daemon, three peers: resident memory',
      unit: 'MB',
      median: at(PARTS >> 1),
      min: at(0),
      max: at(PARTS - 1),
      most: IDLE_MEGABYTES,
    },
    {
      name: `idle daemon, three peers: of one core, over ${seconds} s`,
      unit: '%',
      median: whole,
      min: low,
      max: high,
      most: IDLE_PERCENT,
    },
  ];
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
