/**
 * Messages from daemon to daemon through a Mosquitto on this machine, durable at both ends and acknowledged by the
 * recipient, beside MQTT.js alone through the same Mosquitto, which keeps nothing and hides nothing.
 *
 * Mosquitto is as it comes but for one line: what is queued for a subscriber is not bounded, because MQTT.js alone would
 * lose what goes beyond a thousand packets. The mesh never has that many under way.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeystore } from '../src/drivers/node/open-keystore.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { makeKeyFile } from '../src/drivers/node/unlock.ts';
import { loadEngine } from '../src/drivers/vodozemac/load-node.ts';
import { EVERYBODY } from '../src/entities/roster/circle.ts';
import { Secret } from '../src/entities/secret.ts';
import type { Engine } from '../src/usecases/ports/engine.ts';
import { hasMosquitto, type Mosquitto, startMosquitto, withoutMosquitto } from '../test/brokers/mosquitto.ts';
import { type MeshDevice, makeMesh } from '../test/process/make-mesh.ts';
import { compile, type MeshProcess, up } from '../test/process/mesh-process.ts';
import { establishedPair } from './engine.ts';
import { costOfParts } from './parts.ts';
import { Player } from './player.ts';
import { cpuTime } from './process-cost.ts';
import type { rawMqtt } from './raw-mqtt.ts';
import { against, inTurn, type Measured, type Row, spread, time, timeSync } from './rows.ts';
import type { socketCaller } from './socket-caller.ts';
import type { station } from './station.ts';

const UNBOUNDED = 'max_queued_messages 0';
const SIZES = {
  '100 B': { bytes: 100, count: 20_000, least: 0.8 },
  '1 KiB': { bytes: 1024, count: 20_000, least: 0.5 },
  '16 KiB': { bytes: 16 * 1024, count: 2000, least: undefined },
  '64 KiB': { bytes: 64 * 1024, count: 800, least: 0.3 },
} as const;
const ROUNDS = 5;
const PROCESSORS = availableParallelism();
const THROUGH_SOCKET = 0.3;
const PINGS = 300;
/** Of round trips, what may come on top of the broker's and of four commits. */
const PING_SLACK = 2;
const FAN = [1, 2, 5, 10] as const;
const FAN_MESSAGES = 2000;

interface Cast {
  readonly broker: Mosquitto;
  readonly a: MeshDevice;
  readonly b: MeshDevice;
  readonly alice: Player<typeof station>;
  readonly bob: Player<typeof station>;
  readonly publisher: Player<typeof rawMqtt>;
  readonly subscriber: Player<typeof rawMqtt>;
  readonly dir: string;
}

export async function meshRows(profileInto: string | undefined): Promise<Row[]> {
  if (!hasMosquitto) {
    console.error(withoutMosquitto);
    return [];
  }
  await compile();
  const engine = await loadEngine(nodeRandomness);
  const rows = await onStage([UNBOUNDED], profileInto, async (cast) => [
    ...(await oneWayRows(engine, cast)),
    ...(await partsRows(engine, cast)),
    ...(await bothWaysRows(cast)),
    ...(await socketRows(cast, profileInto)),
    ...(await trafficRows(cast)),
    ...(await pingRows(engine, cast, 'Mosquitto as it comes')),
  ]);
  const prompt = [UNBOUNDED, 'set_tcp_nodelay true'];
  rows.push(...(await onStage(prompt, undefined, (cast) => pingRows(engine, cast, 'set_tcp_nodelay true'))));
  rows.push(...(await fanRows()));
  return rows;
}

async function onStage(
  extra: readonly string[],
  profileInto: string | undefined,
  work: (cast: Cast) => Promise<Row[]>,
): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto({ extra });
  const alice = new Player<typeof station>('station', { profileInto });
  const bob = new Player<typeof station>('station', { profileInto });
  const publisher = new Player<typeof rawMqtt>('raw-mqtt');
  const subscriber = new Player<typeof rawMqtt>('raw-mqtt');
  try {
    const [a, b] = await makeMesh({ count: 2, dir, brokerUrl: broker.url });
    if (a === undefined || b === undefined) throw new Error('two were asked for');
    await Promise.all([alice.call('open', a), bob.call('open', b)]);
    await publisher.call('open', broker.url, 'bench/a');
    await subscriber.call('open', broker.url, 'bench/b');
    // They meet.
    await alice.call('burst', [b.deviceId], 1, 1);
    const rows = await work({ broker, a, b, alice, bob, publisher, subscriber, dir });
    await Promise.all([alice.call('close'), bob.call('close')]);
    return rows;
  } finally {
    await Promise.all([alice, bob, publisher, subscriber].map((one) => one.end()));
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function oneWayRows(engine: Engine, { alice, bob, b, publisher, subscriber }: Cast): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [size, { bytes, count, least }] of Object.entries(SIZES)) {
    const [sender, receiver]: [number[], number[]] = [[], []];
    const perMessage = (milliseconds: number): number => (1000 * milliseconds) / count;
    const measured = await inTurn(ROUNDS, {
      raw: () => rawBurst(publisher, subscriber, bytes, count),
      mesh: async () => {
        const before = await bob.call('use');
        const { milliseconds, cpuMilliseconds } = await alice.call('burst', [b.deviceId], bytes, count);
        const after = await bob.call('use');
        await bob.call('read');
        sender.push(perMessage(cpuMilliseconds));
        receiver.push(perMessage(after.cpuMilliseconds - before.cpuMilliseconds));
        return (1000 * count) / milliseconds;
      },
      engine: () => bareEncrypt(engine, bytes),
    });
    const raw = `raw MQTT QoS 1 one way, ${size}`;
    const bare = `bare encrypt loop, ${size}`;
    const aim = least === undefined ? {} : { least };
    const engineAim = size === '1 KiB' ? { least: 1 } : {};
    rows.push(
      { name: raw, unit: '/s', ...measured.raw },
      { name: bare, unit: '/s', ...measured.engine },
      {
        name: `mesh one way, ${size}`,
        unit: '/s',
        ...measured.mesh,
        against: [
          against('raw', measured.mesh, measured.raw, aim),
          against('bare encrypt', measured.mesh, measured.engine, engineAim),
        ],
      },
      // Without the round that warms up.
      { name: `mesh one way, ${size}: processor, sender`, unit: 'µs', ...spread(sender.slice(1)) },
      { name: `mesh one way, ${size}: processor, receiver`, unit: 'µs', ...spread(receiver.slice(1)) },
    );
  }
  return rows;
}

/**
 * How many large messages two processors could pass if they did nothing but what cannot be left out: the parts of a
 * message at both ends, and what MQTT.js and Mosquitto take for as many bytes.
 */
async function partsRows(engine: Engine, cast: Cast): Promise<Row[]> {
  const { broker, publisher, subscriber, dir } = cast;
  const rows: Row[] = [];
  for (const size of ['16 KiB', '64 KiB'] as const) {
    const { bytes, count } = SIZES[size];
    const carrying = async (): Promise<number> => {
      const used = async (): Promise<number> => {
        const own = await Promise.all([publisher.call('used'), subscriber.call('used'), cpuTime(broker.pid)]);
        return own.reduce((sum, time) => sum + time, 0);
      };
      const before = await used();
      await rawBurst(publisher, subscriber, bytes, count);
      return (1000 * ((await used()) - before)) / count;
    };
    const measured = await inTurn(ROUNDS, {
      raw: () => rawBurst(publisher, subscriber, bytes, count),
      carrying,
      parts: () => costOfParts(engine, dir, bytes),
    });
    const ceiling = (PROCESSORS * 1_000_000) / (measured.carrying.median + measured.parts.median);
    const all: Measured = { median: ceiling, min: ceiling, max: ceiling };
    rows.push(
      { name: `what a message cannot do without, both ends, ${size}`, unit: 'µs', ...measured.parts },
      { name: `carrying it, MQTT.js twice and Mosquitto, ${size}`, unit: 'µs', ...measured.carrying },
      {
        name: `all that ${PROCESSORS} processors could do of both, ${size}`,
        unit: '/s',
        ...all,
        against: [against('raw', all, measured.raw)],
      },
    );
  }
  return rows;
}

async function rawBurst(
  publisher: Player<typeof rawMqtt>,
  subscriber: Player<typeof rawMqtt>,
  bytes: number,
  count: number,
  topic = 'bench/b',
): Promise<number> {
  const all = subscriber.call('expect', count);
  const began = performance.now();
  await Promise.all([publisher.call('burst', topic, bytes, count), all]);
  return (1000 * count) / (performance.now() - began);
}

function bareEncrypt(engine: Engine, bytes: number): number {
  const { sender, receiver } = establishedPair(engine);
  const text = nodeRandomness(bytes);
  const each = timeSync(Math.round(4_000_000 / (bytes + 1000)), () => sender.encrypt(text));
  sender.dispose();
  receiver.dispose();
  return 1_000_000 / each;
}

async function bothWaysRows({ alice, bob, a, b, publisher, subscriber }: Cast): Promise<Row[]> {
  const { bytes, count } = SIZES['1 KiB'];
  const rate = async (both: readonly [Promise<unknown>, Promise<unknown>]): Promise<number> => {
    const began = performance.now();
    await Promise.all(both);
    return (2000 * count) / (performance.now() - began);
  };
  const measured = await inTurn(ROUNDS, {
    raw: () =>
      rate([
        rawBurst(publisher, subscriber, bytes, count),
        rawBurst(subscriber, publisher, bytes, count, 'bench/a'),
      ]),
    mesh: () =>
      rate([alice.call('burst', [b.deviceId], bytes, count), bob.call('burst', [a.deviceId], bytes, count)]),
  });
  return [
    { name: 'raw MQTT QoS 1 both ways at once, 1 KiB', unit: '/s', ...measured.raw },
    {
      name: 'mesh both ways at once, 1 KiB',
      unit: '/s',
      ...measured.mesh,
      against: [against('raw', measured.mesh, measured.raw)],
    },
  ];
}

async function socketRows(cast: Cast, profileInto: string | undefined): Promise<Row[]> {
  const { alice, bob, a, b, publisher, subscriber } = cast;
  const { bytes, count } = SIZES['1 KiB'];
  const caller = new Player<typeof socketCaller>('socket-caller', { profileInto });
  try {
    await caller.call('open', a.home);
    const measured = await inTurn(ROUNDS, {
      raw: () => rawBurst(publisher, subscriber, bytes, count),
      mesh: async () => {
        const began = performance.now();
        await caller.call('burst', b.deviceId, bytes, count);
        await alice.call('still');
        const rate = (1000 * count) / (performance.now() - began);
        await bob.call('read');
        return rate;
      },
    });
    const ratio = against('raw', measured.mesh, measured.raw, { least: THROUGH_SOCKET });
    const name = 'mesh one way, 1 KiB, through the local socket';
    return [{ name, unit: '/s', ...measured.mesh, against: [ratio] }];
  } finally {
    await caller.end();
  }
}

/** What an onlooker sees of a burst, and what both ends have the system write. */
async function trafficRows({ broker, alice, bob, b }: Cast): Promise<Row[]> {
  const onlooker = new Player<typeof rawMqtt>('raw-mqtt');
  const rows: Row[] = [];
  try {
    await onlooker.call('open', broker.url, '/mesh/#');
    for (const [size, { bytes, count }] of Object.entries(SIZES)) {
      const figures: [number[], number[], number[]] = [[], [], []];
      const [wire, sender, receiver] = figures;
      for (let round = 0; round < 3; round++) {
        const before = await Promise.all([onlooker.call('seen'), alice.call('use'), bob.call('use')]);
        await alice.call('burst', [b.deviceId], bytes, count);
        const after = await Promise.all([onlooker.call('seen'), alice.call('use'), bob.call('use')]);
        await bob.call('read');
        wire.push((after[0] - before[0]) / (bytes * count));
        sender.push((after[1].writtenBytes - before[1].writtenBytes) / (bytes * count));
        receiver.push((after[2].writtenBytes - before[2].writtenBytes) / (bytes * count));
      }
      const name = `each byte of payload, ${size}`;
      rows.push(
        { name: `${name}: topics and packets, both ways`, unit: 'B', ...spread(wire) },
        { name: `${name}: written, sender`, unit: 'B', ...spread(sender) },
        { name: `${name}: written, receiver`, unit: 'B', ...spread(receiver) },
      );
    }
    return rows;
  } finally {
    await onlooker.end();
  }
}

/** From `send` until the answer stands in the inbox: four commits, one after the other. */
async function pingRows(engine: Engine, cast: Cast, which: string): Promise<Row[]> {
  const { alice, bob, b, publisher, subscriber, dir } = cast;
  const unlock = await makeKeyFile(join(dir, 'ping.key'), nodeRandomness);
  const { keystore } = await createKeystore(join(dir, 'ping'), unlock);
  await subscriber.call('echo', 'bench/a');
  await bob.call('echo');
  const late: Record<'raw' | 'mesh', number[]> = { raw: [], mesh: [] };
  const middle = (of: 'raw' | 'mesh', took: readonly number[]): number => {
    const sorted = [...took].sort((x, y) => x - y);
    late[of].push(sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN);
    return sorted[sorted.length >> 1] ?? Number.NaN;
  };
  const value = 'x'.repeat(256);
  const measured = await inTurn(ROUNDS, {
    raw: async () => middle('raw', await publisher.call('pingPong', 'bench/b', 1024, PINGS)),
    commit: async () => {
      const put = (): Promise<void> => keystore.commit([{ kind: 'setting', key: 'ping', put: value }]);
      return (await time(50, put)) / 1000;
    },
    engine: () => timeSync(50, roundTrip(engine)) / 1000,
    mesh: async () => middle('mesh', await alice.call('pingPong', b.deviceId, 1024, PINGS)),
  });
  await bob.call('still');
  await subscriber.call('echo', undefined);
  await keystore.close();
  const sum = (slack: number, ...parts: readonly Measured[]): Measured => {
    const all = parts.reduce((total, { median }) => total + median, slack) + 3 * measured.commit.median;
    return { median: all, min: all, max: all };
  };
  const allowed = sum(PING_SLACK, measured.raw, measured.commit);
  const parts = sum(0, measured.raw, measured.commit, measured.engine);
  const row = (name: string, figure: Measured): Row => ({ name: `${name}, ${which}`, unit: 'ms', ...figure });
  return [
    row('raw MQTT round trip, 1 KiB: half of them', measured.raw),
    row('raw MQTT round trip, 1 KiB: 99 in 100', spread(late.raw.slice(1))),
    row('one synced commit of one record', measured.commit),
    row("a round trip's turns and pickles in the bare engine", measured.engine),
    {
      ...row('mesh round trip, 1 KiB: half of them', measured.mesh),
      against: [
        against(`raw + 4 commits + ${PING_SLACK} ms`, measured.mesh, allowed, { most: 1 }),
        against('raw + 4 commits + engine', measured.mesh, parts),
      ],
    },
    row('mesh round trip, 1 KiB: 99 in 100', spread(late.mesh.slice(1))),
  ];
}

/** Two messages that each turn the ratchet, as an answer does, and the pickles of four commits. */
function roundTrip(engine: Engine): () => void {
  const { sender, receiver } = establishedPair(engine);
  const key = new Secret(nodeRandomness(32));
  const text = nodeRandomness(1024);
  return () => {
    for (const [from, to] of [
      [sender, receiver],
      [receiver, sender],
    ] as const) {
      const message = from.encrypt(text);
      from.pickle(key);
      if ('refused' in to.decrypt(message)) throw new Error('not decrypted');
      to.pickle(key);
    }
  };
}

/** The sender in this bench's hands; the recipients are daemons as anybody starts them. */
async function fanRows(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto();
  const running: MeshProcess[] = [];
  const alice = new Player<typeof station>('station');
  try {
    const most = Math.max(...FAN);
    const [first, ...others] = await makeMesh({ count: most + 1, dir, brokerUrl: broker.url });
    if (first === undefined) throw new Error('a mesh was asked for');
    for (const other of others) running.push(await up(other));
    await alice.call('open', first);
    const ids = others.map(({ deviceId }) => deviceId);
    await alice.call('burst', ids, 1, 1);
    const deliveries = async (to: typeof ids | typeof EVERYBODY, recipients: number): Promise<number> => {
      const { milliseconds } = await alice.call('burst', to, 1024, FAN_MESSAGES);
      return (1000 * FAN_MESSAGES * recipients) / milliseconds;
    };
    const measures: Record<string, () => Promise<number>> = {};
    for (const count of FAN) measures[`to ${count}`] = () => deliveries(ids.slice(0, count), count);
    measures[`to ${EVERYBODY}, ${most} others`] = () => deliveries(EVERYBODY, most);
    const measured = await inTurn(ROUNDS, measures);
    const one = measured['to 1'];
    return Object.entries(measured).map(([name, figure]): Row => {
      const row = { name: `deliveries of 1 KiB ${name}`, unit: '/s', ...figure } as const;
      return one === undefined || figure === one ? row : { ...row, against: [against('to 1', figure, one)] };
    });
  } finally {
    await alice.end();
    await Promise.all(running.map((daemon) => daemon.stop()));
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
