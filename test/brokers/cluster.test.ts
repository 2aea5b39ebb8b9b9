/**
 * Three NATS servers are one broker to the mesh. Under load the one that leads is killed and comes back, then the
 * next, until each was dead once.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RpcClient } from '../../src/adapters/rpc/client.ts';
import { isObject } from '../../src/adapters/rpc/protocol.ts';
import { patientClient } from '../endurance/caller.ts';
import { type MeshDevice, makeMesh } from '../process/make-mesh.ts';
import { as, compile, type MeshProcess, mesh, up } from '../process/mesh-process.ts';
import { temporaryDirectory } from '../support/home.ts';
import { required } from './kinds/kind.ts';
import { withoutNats } from './kinds/nats.ts';
import { type Cluster, type ClusterServer, startCluster } from './kinds/nats-cluster.ts';
import { eventually } from './loopback.ts';

const MINUTE = 60_000;
/** Of all three together, a second. */
const RATE = 200;
const DOWN = 3000;
/** More than were on their way when the server died. */
const SOME = 100;

interface Arrival {
  readonly text: string;
  readonly at: number;
}

const title = 'three servers of which one is killed at a time';

describe.runIf(required(title, withoutNats))(title, () => {
  let base: string;
  let cluster: Cluster;
  let devices: readonly MeshDevice[] = [];
  const daemons: MeshProcess[] = [];
  const clients: RpcClient[] = [];

  beforeAll(async () => {
    await compile();
    base = await temporaryDirectory();
    await mkdir(join(base, 'cluster'));
    cluster = await startCluster(join(base, 'cluster'));
    devices = await makeMesh({ count: 3, dir: base, names: ['laptop', 'phone', 'Pi'] });
    for (const [index, one] of devices.entries()) {
      // Each begins at another server.
      const urls = cluster.servers.map((_, i) => cluster.servers[(i + index) % 3]?.url);
      const set = await mesh(['config', 'set', 'broker', urls.join(' '), ...as(one)]);
      expect(set.status, set.stdout).toBe(0);
      daemons.push(await up(one));
    }
  }, 2 * MINUTE);

  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
    await cluster?.stop();
    await rm(base, { recursive: true, force: true });
  });

  /** Everything that this device hears from now on, and when. */
  async function ear(home: string): Promise<readonly Arrival[]> {
    const arrived: Arrival[] = [];
    let client: RpcClient | undefined;
    client = await patientClient(home, (method, { message, subscription, number }) => {
      if (method !== 'message' || !isObject(message)) return;
      arrived.push({ text: String(message.text), at: performance.now() });
      client
        ?.call('listen.done', { subscription: subscription ?? 0, number: number ?? 0 })
        .catch(() => undefined);
    });
    clients.push(client);
    await client.call('listen', { cursor: 'the ear' });
    return arrived;
  }

  /** Says one number after the other, so many a second, until it is told to stop; then how many were accepted. */
  function talk(home: string, target: string): { stop(): Promise<number> } {
    const TOGETHER = 10;
    let over = false;
    const told = (async () => {
      const client = await patientClient(home);
      clients.push(client);
      const began = performance.now();
      let count = 0;
      while (!over) {
        const texts = Array.from({ length: TOGETHER }, (_, i) => `message ${count + i}`);
        await Promise.all(texts.map((text) => client.call('send', { target, text, wait: 'accepted' })));
        count += TOGETHER;
        await pause(Math.max(0, began + (count / (RATE / 3)) * 1000 - performance.now()));
      }
      return count;
    })();
    return {
      stop() {
        over = true;
        return told;
      },
    };
  }

  it('loses nothing, doubles nothing, and goes on', { timeout: 5 * MINUTE }, async () => {
    const heard = await Promise.all(devices.map(({ home }) => ear(home)));
    const load = devices.map(({ home }, index) => talk(home, devices[(index + 1) % 3]?.deviceId ?? ''));
    await eventually(() => heard.every(({ length }) => length > SOME), 'all are talking');
    const began = performance.now();
    let left: readonly ClusterServer[] = cluster.servers;
    const killed: string[] = [];
    while (left.length > 0) {
      let leader: ClusterServer | undefined;
      await eventually(
        async () => {
          leader = await cluster.leader();
          return leader !== undefined && (await cluster.isWhole());
        },
        'the servers are whole again',
        MINUTE,
      );
      const next = left.find((one) => one === leader) ?? left[0];
      if (next === undefined) throw new Error('one is left');
      killed.push(`${next.name}${next === leader ? ', which led' : ''}`);
      left = left.filter((one) => one !== next);
      const before = heard.map(({ length }) => length);
      await next.end('SIGKILL');
      await pause(DOWN);
      await next.start();
      await eventually(
        () => heard.every(({ length }, i) => length > (before[i] ?? 0) + SOME),
        'all are talking again',
        MINUTE,
      );
    }
    const sent = await Promise.all(load.map((one) => one.stop()));
    const total = sent.reduce((sum, count) => sum + count, 0);
    // Each listens to the one before it.
    const meant = (index: number): string[] =>
      Array.from({ length: sent[(index + 2) % 3] ?? 0 }, (_, i) => `message ${i}`);
    await eventually(
      () => heard.every(({ length }, index) => length >= meant(index).length),
      'all is there',
      2 * MINUTE,
    );
    for (const [index, arrivals] of heard.entries()) {
      expect(arrivals.map(({ text }) => text)).toEqual(meant(index));
    }
    const seconds = (performance.now() - began) / 1000;
    expect(total / seconds).toBeGreaterThan(RATE / 2);
    const longest = Math.max(...heard.map(longestPause));
    process.stdout.write(
      `${total} messages in ${Math.round(seconds)} s; killed ${killed.join('; ')}; longest pause ${Math.round(longest)} ms\n`,
    );
    expect(killed[0]).toContain('which led');
  });
});

function longestPause(arrivals: readonly Arrival[]): number {
  const pauses = arrivals.slice(1).map(({ at }, i) => at - (arrivals[i]?.at ?? at));
  return Math.max(...pauses);
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
