/** Three NATS servers that keep everything three times, and whose MQTT outlives any one of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../../../src/adapters/rpc/protocol.ts';
import { eventually, freePort } from '../loopback.ts';
import { NATS } from './nats.ts';
import { type Server, server } from './server.ts';

export interface ClusterServer extends Server {
  readonly name: string;
  readonly url: string;
}

export interface Cluster {
  readonly servers: readonly ClusterServer[];
  /** Whoever decides the order of what is published. Nobody while one is being elected. */
  leader(): Promise<ClusterServer | undefined>;
  /** Every server holds all of every stream, so that any one of them may go. */
  isWhole(): Promise<boolean>;
  stop(): Promise<void>;
}

const MESSAGES = '$MQTT_msgs';
const NAMES = ['mesh-1', 'mesh-2', 'mesh-3'];

export async function startCluster(home: string): Promise<Cluster> {
  const places = await Promise.all(
    NAMES.map(async (name) => ({
      name,
      dir: join(home, name),
      client: await freePort(),
      route: await freePort(),
      monitor: await freePort(),
      mqtt: await freePort(),
    })),
  );
  const servers: ClusterServer[] = [];
  for (const { name, dir, client, route, monitor, mqtt } of places) {
    await mkdir(dir, { recursive: true });
    const others = places.filter((other) => other.name !== name);
    const file = join(dir, 'nats.conf');
    await writeFile(
      file,
      `
server_name: ${name}
listen: "127.0.0.1:${client}"
http: "127.0.0.1:${monitor}"
jetstream { store_dir: "${dir}", max_mem: 64MB, max_file: 1GB }
cluster {
  name: mesh
  listen: "127.0.0.1:${route}"
  routes: [${others.map((other) => `"nats://127.0.0.1:${other.route}"`).join(', ')}]
}
mqtt { listen: "127.0.0.1:${mqtt}", stream_replicas: 3 }
`,
    );
    const process = server({
      program: NATS ?? 'nats-server',
      args: ['-c', file],
      ports: [mqtt, monitor],
      log: join(dir, 'log'),
    });
    servers.push({
      name,
      url: `mqtt://127.0.0.1:${mqtt}`,
      get pid() {
        return process.pid;
      },
      start: process.start,
      end: process.end,
    });
  }
  await Promise.all(servers.map((one) => one.start()));
  const monitors = places.map(({ monitor }) => monitor);
  const views = () =>
    Promise.all(places.map(async ({ name, monitor }) => ({ name, seen: await streams(monitor) })));
  /** As whoever leads them sees them: the others do not know who has what. */
  const allStreams = async (): Promise<readonly Stream[]> =>
    (await views()).flatMap(({ name, seen }) => seen.filter(({ leader }) => leader === name));
  const streamNames = async (): Promise<Set<string>> =>
    new Set((await views()).flatMap(({ seen }) => seen.map(({ name }) => name)));
  await eventually(
    async () => (await Promise.all(monitors.map(hasMetaLeader))).every(Boolean),
    'the servers have found each other',
    60_000,
  );
  return {
    servers,
    async leader() {
      const messages = (await allStreams()).find(({ name }) => name === MESSAGES);
      return servers.find(({ name }) => name === messages?.leader);
    },
    async isWhole() {
      const ledNow = new Map((await allStreams()).map((stream) => [stream.name, stream]));
      return (
        ledNow.has(MESSAGES) &&
        ledNow.size === (await streamNames()).size &&
        [...ledNow.values()].every(isWhole)
      );
    },
    async stop() {
      await Promise.all(servers.map((one) => one.end('SIGKILL')));
    },
  };
}

interface Stream {
  readonly name: string;
  readonly leader: string | undefined;
  readonly replicas: readonly Readonly<Record<string, unknown>>[];
}

const isWhole = ({ leader, replicas }: Stream): boolean =>
  leader !== undefined &&
  replicas.length === NAMES.length - 1 &&
  replicas.every(({ current, offline }) => current === true && offline !== true);

async function ask(monitor: number, path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const answer: unknown = await (await fetch(`http://127.0.0.1:${monitor}/${path}`)).json();
    return isObject(answer) ? answer : {};
  } catch {
    // It is down.
    return {};
  }
}

async function hasMetaLeader(monitor: number): Promise<boolean> {
  const { meta_cluster: meta } = await ask(monitor, 'jsz');
  return isObject(meta) && typeof meta.leader === 'string' && meta.cluster_size === NAMES.length;
}

async function streams(monitor: number): Promise<readonly Stream[]> {
  const { account_details: accounts } = await ask(monitor, 'jsz?accounts=1&streams=1');
  const found: Stream[] = [];
  for (const account of objects(accounts)) {
    for (const { name, cluster } of objects(account.stream_detail)) {
      const { leader, replicas } = isObject(cluster) ? cluster : {};
      found.push({
        name: String(name),
        leader: typeof leader === 'string' && leader !== '' ? leader : undefined,
        replicas: objects(replicas),
      });
    }
  }
  return found;
}

const objects = (value: unknown): readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? value.filter(isObject) : [];
