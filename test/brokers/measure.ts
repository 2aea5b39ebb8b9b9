/**
 * `npm run brokers:measure [-- --only WORD] [--seconds N]`: what a message costs at each broker, and how that grows
 * with the mesh. Messages of 200 bytes between two daemons on this machine; one that is accepted counts when the
 * other daemon has shown it to a reader. Then, over Mosquitto, what goes over the wire of the broker for a message to
 * everybody and for a minute in which nobody says anything.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';
import type { RpcClient } from '../../src/adapters/rpc/client.ts';
import { isObject } from '../../src/adapters/rpc/protocol.ts';
import { patientClient } from '../endurance/caller.ts';
import { type MeshDevice, makeMesh } from '../process/make-mesh.ts';
import { as, compile, type MeshProcess, mesh, up } from '../process/mesh-process.ts';
import { temporaryDirectory } from '../support/home.ts';
import { LATER, makeAuthority } from './authority.ts';
import { embedded } from './kinds/embedded.ts';
import type { Kind } from './kinds/kind.ts';
import { mosquitto5, mosquitto311, mosquittoNoDelay } from './kinds/mosquitto.ts';
import { natsPlain, withoutNats } from './kinds/nats.ts';
import { startCluster } from './kinds/nats-cluster.ts';
import { rabbitmq } from './kinds/rabbitmq.ts';
import { eventually } from './loopback.ts';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seconds: { type: 'string', default: '5' } },
});
const SECONDS = Number(values.seconds);
/** Calls that wait for their answer at a time, as a busy program would have. */
const TOGETHER = 64;
const SINGLY = 200;
const PAYLOAD = 200;
const SIZES = [2, 10, 50];
/** An idle stretch is watched for this long, and then told as if it were a minute. */
const IDLE_SECONDS = 60;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const wanted = (name: string): boolean => name.toLowerCase().includes(values.only.toLowerCase());

interface Pair {
  readonly devices: readonly MeshDevice[];
  readonly daemons: readonly MeshProcess[];
}

/** Runs `work` with daemons at this broker, and ends everything. */
async function at(
  kind: Pick<Kind, 'make' | 'inside'>,
  count: number,
  work: (pair: Pair, url: string) => Promise<void>,
): Promise<void> {
  const base = await temporaryDirectory();
  const daemons: MeshProcess[] = [];
  const home = join(base, 'broker');
  await mkdir(home);
  const broker = await kind.make(home);
  try {
    const authority = await makeAuthority('the authority of this measurement');
    await broker.present(await authority.issue({ name: 'localhost', until: LATER }));
    await broker.start();
    const url = broker.urls.mqtt ?? '';
    const port = Number(new URL(url.split(' ')[0] ?? '').port);
    const where = kind.inside === undefined ? {} : { embeddedPort: port };
    const devices = await makeMesh({ count, dir: base, ...where });
    for (const [index, one] of devices.entries()) {
      if (kind.inside === undefined) await mesh(['config', 'set', 'broker', url, ...as(one)]);
      daemons.push(await up(one, ...(index === 0 ? (kind.inside?.(port) ?? []) : [])));
    }
    await work({ devices, daemons }, url);
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
    await broker.stop();
    await rm(base, { recursive: true, force: true });
  }
}

/** Calls back for every message that this device shows to a reader. */
async function listen(home: string, heard: (text: string) => void): Promise<RpcClient> {
  let client: RpcClient | undefined;
  client = await patientClient(home, (method, { message, subscription = 0, number = 0 }) => {
    if (method !== 'message' || !isObject(message)) return;
    heard(String(message.text));
    client?.call('listen.done', { subscription, number }).catch(() => undefined);
  });
  await client.call('listen', { cursor: 'the measurement' });
  return client;
}

async function measurePair({ devices }: Pair): Promise<string> {
  const [from, to] = devices;
  if (from === undefined || to === undefined) throw new Error('two were asked for');
  let heard = 0;
  const awaited = new Map<string, () => void>();
  const reader = await listen(to.home, (text) => {
    heard += 1;
    awaited.get(text)?.();
  });
  const sender = await patientClient(from.home);
  const send = (text: string, wait: string): Promise<unknown> =>
    sender.call('send', { target: to.deviceId, text: text.padEnd(PAYLOAD), wait });
  await send('hello', 'delivered');
  const latencies: number[] = [];
  for (let i = 0; i < SINGLY; i++) {
    const began = performance.now();
    const text = `single ${i}`.padEnd(PAYLOAD);
    const arrived = new Promise<void>((resolve) => void awaited.set(text, resolve));
    await Promise.all([send(text, 'accepted'), arrived]);
    latencies.push(performance.now() - began);
  }
  latencies.sort((a, b) => a - b);
  const [before, began] = [heard, performance.now()];
  let count = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() - began < SECONDS * 1000) {
      count += 1;
      await send(`message ${count}`, 'accepted');
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, lane));
  await eventually(() => heard - before >= count, 'all has arrived', 60_000);
  const rate = count / ((performance.now() - began) / 1000);
  reader.close();
  sender.close();
  const percentile = (part: number): string => (latencies[Math.floor(SINGLY * part)] ?? 0).toFixed(1);
  return `${Math.round(rate)} | ${percentile(0.5)} | ${percentile(0.95)}`;
}

/** What an onlooker at the broker sees pass: packets that are published, and the bytes in them. */
async function measureMesh({ devices, daemons }: Pair, url: string): Promise<string> {
  let [packets, bytes] = [0, 0];
  const onlooker = await mqtt.connectAsync(url, { protocolVersion: 5 });
  onlooker.on('message', (topic, payload) => {
    packets += 1;
    bytes += topic.length + payload.length;
  });
  await onlooker.subscribeAsync('#', { qos: 1 });
  const [from] = devices;
  if (from === undefined || daemons.length < 2) throw new Error('two or more were asked for');
  const say = async (text: string): Promise<void> => {
    const sent = await mesh([
      'send',
      'all',
      text.padEnd(PAYLOAD),
      '--wait',
      'delivered',
      '--timeout',
      '120s',
      ...as(from),
    ]);
    if (sent.status !== 0) throw new Error(sent.stdout + sent.stderr);
  };
  await say('hello');
  await quiet(() => packets);
  const MESSAGES = 10;
  const before = { packets, bytes };
  for (let i = 0; i < MESSAGES; i++) await say(`message ${i}`);
  await quiet(() => packets);
  const said = { packets: packets - before.packets, bytes: bytes - before.bytes };
  const idle = { packets, bytes };
  await pause(IDLE_SECONDS * 1000);
  const perMinute = { packets: packets - idle.packets, bytes: bytes - idle.bytes };
  await onlooker.endAsync(true);
  const each = (n: number): string => (n / MESSAGES).toFixed(0);
  return `${each(said.packets)} | ${each(said.bytes)} | ${perMinute.packets} | ${perMinute.bytes}`;
}

/** Nothing has passed for two seconds. */
async function quiet(count: () => number): Promise<void> {
  for (let last = -1; last !== count(); ) {
    last = count();
    await pause(2000);
  }
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

const cluster: Kind = {
  name: 'three NATS servers',
  missing: withoutNats,
  speaks: 4,
  keepsQueues: true,
  async make(home) {
    const running = await startCluster(home);
    const nothing = (): Promise<void> => Promise.resolve();
    return {
      urls: { mqtt: running.servers.map(({ url }) => url).join(' ') },
      present: nothing,
      start: nothing,
      kill: nothing,
      wipe: nothing,
      stop: () => running.stop(),
    };
  },
};

await compile();
print('| broker | messages a second | median ms | 95th percentile ms |\n| --- | --- | --- | --- |');
for (const kind of [mosquitto5, mosquittoNoDelay, mosquitto311, natsPlain, cluster, rabbitmq, embedded]) {
  if (!wanted(kind.name)) continue;
  if (kind.missing !== undefined) print(`| ${kind.name} | ${kind.missing} | | |`);
  else await at(kind, 2, async (pair) => print(`| ${kind.name} | ${await measurePair(pair)} |`));
}
print(
  '\n| devices | packets a message to all | bytes | packets an idle minute | bytes |\n| --- | --- | --- | --- | --- |',
);
for (const count of SIZES) {
  if (!wanted(`mesh of ${count}`) || mosquitto5.missing !== undefined) continue;
  await at(mosquitto5, count, async (pair, url) => print(`| ${count} | ${await measureMesh(pair, url)} |`));
}
