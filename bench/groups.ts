/**
 * What it costs the sender to encrypt for many. It runs in this process, with its store and its connection; the
 * others are daemons at the same Mosquitto, so that nothing of their work is taken for its own. Around its engine,
 * hash, MAC and cipher there is a stopwatch: what they take from the moment a burst is handed over until all of it is
 * acknowledged. That is encrypting for the group and rotating, handing keys over, sealing envelopes for each
 * recipient, pickling, and reading acknowledgements. What seals the store is not in it.
 *
 * The reference is the same for one recipient. That is held in turn against the engine alone: each payload as it is,
 * encrypted in a Megolm session, a new one for each hundred, and its key encrypted once in an established Olm session,
 * without padding, hash, envelope, pickle or acknowledgement.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MqttTransport } from '../src/drivers/mqtt/mqtt-transport.ts';
import { openKeystore } from '../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { readKeyFile } from '../src/drivers/node/unlock.ts';
import { loadEngine } from '../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../src/entities/bytes.ts';
import type { DeviceId } from '../src/entities/device-id.ts';
import { MESSAGES_BEFORE_ROTATION } from '../src/entities/group-session.ts';
import { type Circle, EVERYBODY } from '../src/entities/roster/circle.ts';
import { loadDevice } from '../src/usecases/device/load-device.ts';
import { createGroups } from '../src/usecases/membership/groups.ts';
import { loadMesh } from '../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../src/usecases/messaging/messenger.ts';
import type { Engine } from '../src/usecases/ports/engine.ts';
import { eventually, realClock } from '../test/brokers/loopback.ts';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../test/brokers/mosquitto.ts';
import { type MeshDevice, makeMesh } from '../test/process/make-mesh.ts';
import { compile, type MeshProcess, up } from '../test/process/mesh-process.ts';
import { establishedPair } from './engine.ts';
import { type Aim, against, inTurn, type Measured, type Row } from './rows.ts';
import { Stopwatch } from './stopwatch.ts';

const SIZES = { '100 B': 100, '1 KiB': 1024 } as const;
/** Each has a group of its own; the last one is everybody, and costs what a group of as many would. */
const RECIPIENTS = [1, 2, 5, 7, 10] as const;
const DEVICES = 11;
/** How much more than to one recipient it may cost. */
const MOST = 1.4;
const BURST = 1000;
const ROUNDS = 5;
const PATIENCE = 120_000;

export async function groupRows(): Promise<Row[]> {
  if (!hasMosquitto) {
    console.error(withoutMosquitto);
    return [];
  }
  await compile();
  const engine = await loadEngine(nodeRandomness);
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const broker = await startMosquitto();
  const running: MeshProcess[] = [];
  let sender: Sender | undefined;
  try {
    const [first, ...others] = await makeMesh({ count: DEVICES, dir, brokerUrl: broker.url });
    if (first === undefined) throw new Error('a mesh was asked for');
    for (const other of others) running.push(await up(other));
    sender = await startSender(engine, first, broker.url);
    const circles = makeCircles(sender, others);
    // They meet, hear of the groups, and get the first keys.
    for (const circle of circles.values()) await burst(sender, circle, new Uint8Array(1));
    const rows: Row[] = [];
    for (const [size, bytes] of Object.entries(SIZES)) {
      rows.push(...(await rowsOf(engine, sender, circles, size, nodeRandomness(bytes))));
    }
    return rows;
  } finally {
    await sender?.close();
    await Promise.all(running.map((one) => one.stop()));
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function rowsOf(
  engine: Engine,
  sender: Sender,
  circles: ReadonlyMap<number, Circle>,
  size: string,
  payload: Uint8Array,
): Promise<Row[]> {
  const bare = 'bare Megolm loop';
  const one = 'Megolm to 1 recipient';
  const measures: Record<string, () => number | Promise<number>> = {
    [bare]: () => bareMegolm(engine, payload),
  };
  for (const [count, circle] of circles) {
    measures[count === 1 ? one : `all to ${count}`] = () => burst(sender, circle, payload);
  }
  const measured = await inTurn(ROUNDS, measures);
  const beside = (reference: string, figure: Measured, aim: Aim = {}): Pick<Row, 'against'> => {
    const other = measured[reference];
    return other === undefined ? {} : { against: [against(reference, figure, other, aim)] };
  };
  return Object.entries(measured).map(([name, figure]): Row => {
    const row = { name: `${name}, ${size} each: crypto time`, unit: 'µs', ...figure } as const;
    if (name === bare) return row;
    if (name === one) return { ...row, ...beside(bare, figure) };
    return { ...row, ...beside(one, figure, { most: MOST }) };
  });
}

/** Microseconds for each message. */
function bareMegolm(engine: Engine, payload: Uint8Array): number {
  const { sender, receiver } = establishedPair(engine);
  const watch = new Stopwatch();
  const timed = watch.engine(engine);
  const handOver = watch.call((key: Uint8Array) => sender.encrypt(key));
  for (let sent = 0; sent < BURST; sent += MESSAGES_BEFORE_ROTATION) {
    const session = timed.createGroupSession();
    handOver(session.shareKey().expose());
    for (let i = 0; i < MESSAGES_BEFORE_ROTATION; i++) session.encrypt(payload);
    session.dispose();
  }
  sender.dispose();
  receiver.dispose();
  return watch.microseconds / BURST;
}

/** Microseconds for each message. */
async function burst({ messenger, watch }: Sender, circle: Circle, payload: Uint8Array): Promise<number> {
  watch.reset();
  const sending = Array.from({ length: BURST }, () => messenger.send({ to: circle, payload }));
  for (const sent of await Promise.all(sending)) if ('refused' in sent) throw new Error(sent.refused);
  await eventually(() => messenger.status().outbox.messages === 0, 'all of it is acknowledged', PATIENCE);
  return watch.microseconds / BURST;
}

interface Sender {
  readonly self: DeviceId;
  readonly messenger: Messenger;
  readonly watch: Stopwatch;
  close(): Promise<void>;
}

async function startSender(
  bare: Engine,
  { home, keyFile, deviceId }: MeshDevice,
  url: string,
): Promise<Sender> {
  const watch = new Stopwatch();
  const engine = watch.engine(bare);
  const hash = watch.call(nodePrimitives.hash);
  const mac = watch.call(nodePrimitives.mac);
  const { seal, open } = nodePrimitives.cipher;
  const cipher = { seal: watch.call(seal), open: watch.call(open) };
  const { keystore } = await openKeystore(home, await readKeyFile(keyFile), { verifyAtOpen: [] });
  const device = await loadDevice({ engine, hash }, keystore);
  const settings = { urls: [url], clientId: toHex(nodeRandomness(11)), device: deviceId };
  const platform = { clock: realClock, randomness: nodeRandomness, versions: new Map() };
  const messenger = await createMessenger({
    engine,
    hash,
    mac,
    cipher,
    clock: realClock,
    randomness: nodeRandomness,
    keystore,
    transport: new MqttTransport(settings, platform),
    ...device,
    membership: await loadMesh(hash, keystore),
    fatal: (error) => {
      throw error;
    },
  });
  messenger.open();
  return {
    self: deviceId,
    messenger,
    watch,
    async close() {
      await messenger.close();
      device.account.dispose();
      await keystore.close();
    },
  };
}

/** By how many recipients they have. */
function makeCircles(
  { self, messenger }: Sender,
  others: readonly MeshDevice[],
): ReadonlyMap<number, Circle> {
  const { log } = messenger;
  const groups = createGroups({ self, log });
  const circles = new Map<number, Circle>();
  for (const count of RECIPIENTS) {
    if (count === others.length) {
      circles.set(count, EVERYBODY);
      continue;
    }
    const made = groups.create(
      `group of ${count}`,
      others.slice(0, count).map(({ deviceId }) => deviceId),
    );
    if ('refused' in made) throw new Error(made.refused);
    circles.set(count, made.ok);
  }
  return circles;
}
