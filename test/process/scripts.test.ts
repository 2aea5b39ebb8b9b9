/** What shell scripts and cron jobs rely on: many commands at once, loops, readers that are killed. */
import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RpcClient } from '../../src/adapters/rpc/client.ts';
import { createRpcClient } from '../../src/adapters/rpc/client.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';
import { eventually, freePort } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { countAcross } from './counting.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, MeshProcess, mesh, up } from './mesh-process.ts';
import { installed, shell } from './shell.ts';

let base: string;
let running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop('SIGKILL')));
  running = [];
  await rm(base, { recursive: true, force: true });
});

const kept = <T extends MeshProcess>(one: T): T => {
  running.push(one);
  return one;
};
const pair = async (brokerUrl?: string): Promise<readonly [MeshDevice, MeshDevice]> => {
  const [laptop, phone] = await makeMesh({ count: 2, dir: base, brokerUrl });
  if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
  return [laptop, phone];
};
const texts = ({ events }: Pick<Ended, 'events'>): string[] => events.map((one) => String(one.text));
const codeOf = (ended: Ended): unknown => ended.events.at(-1)?.code;
const suffix = hasMosquitto ? '' : `: ${withoutMosquitto}`;

/** A listener that has opened the store itself, and serves it. */
async function listenerWithStore(device: MeshDevice): Promise<MeshProcess> {
  const listener = kept(new MeshProcess(['listen', ...as(device)]));
  await eventually(async () => {
    const channel = await connectSocket(device.home);
    channel?.destroy();
    return channel !== undefined;
  }, 'the listener serves its store');
  return listener;
}

async function withClient<T>(device: MeshDevice, work: (client: RpcClient) => Promise<T>): Promise<T> {
  const channel = await connectSocket(device.home);
  if (channel === undefined) throw new Error('nobody serves the store');
  const client = createRpcClient(channel);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

describe('commands that meet at one store', () => {
  it('use whoever has it, though they could not unlock it themselves', async () => {
    const [laptop, phone] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const listener = await listenerWithStore(laptop);
    const keyless = ['--json', '--home', laptop.home];
    const sent = await mesh(['send', phone.deviceId, 'hi', '--wait', 'accepted', ...keyless]);
    expect(sent.status, sent.stdout).toBe(0);
    const status = await mesh(['status', ...keyless]);
    expect(status.events[0]).toMatchObject({ host: 'one-shot', pid: listener.child.pid, outbox: 1 });
    expect((await listener.stop()).status).toBe(0);
    const alone = await mesh(['status', ...keyless]);
    expect([alone.status, codeOf(alone)]).toEqual([3, 'store-no-secret']);
  });

  it('and are asked for it by a daemon, which leaves none of them without an answer', async () => {
    const [laptop, phone] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const sending = Array.from({ length: 20 }, (_, i) =>
      kept(
        new MeshProcess(['send', phone.deviceId, `message ${i}`, '--wait', 'accepted', ...as(laptop)]),
      ).ended(),
    );
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('ready');
    const all = await Promise.all(sending);
    expect(all.map(({ status, stdout }) => [status, status === 0 ? '' : stdout])).toEqual(
      all.map(() => [0, '']),
    );
    const waiting = await mesh(['outbox', '--json', '--home', laptop.home]);
    expect(waiting.events).toHaveLength(20);
    expect(new Set(waiting.events.map(({ id }) => id))).toEqual(
      new Set(all.map(({ events }) => events[0]?.id)),
    );
  });
});

describe('what waits', () => {
  it('says how often it was tried, and why it is not there yet', async () => {
    const [laptop, phone] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('disconnected');
    await mesh(['send', phone.deviceId, 'hi', ...as(laptop)]);
    const { events } = await mesh(['outbox', ...as(laptop)]);
    const why = { attempts: 0, lastError: 'broker-unreachable' };
    expect(events).toMatchObject([{ event: 'sent', ...why, to: [{ state: 'accepted', ...why }] }]);
    await mesh(['cancel', String(events[0]?.id), ...as(laptop)]);
    // Nothing holds up what has ended.
    const ended = await mesh(['outbox', '--all', ...as(laptop)]);
    expect(ended.events).toMatchObject([{ attempts: 0, lastError: null, to: [{ state: 'cancelled' }] }]);
  });
});

describe('how long the inbox keeps', () => {
  it('is a setting, from an hour to a year', async () => {
    const [laptop] = await pair();
    const config = (...args: string[]): Promise<Ended> => mesh(['config', ...args, ...as(laptop)]);
    expect((await config('get', 'retention')).events).toEqual([
      { key: 'retention', value: null, isSet: false },
    ]);
    expect((await config('set', 'retention', '7d')).events).toEqual([
      { key: 'retention', value: '7d', isSet: true },
    ]);
    const refused = await config('set', 'retention', '30m');
    expect([refused.status, codeOf(refused)]).toEqual([2, 'setting-invalid']);
    expect((await config('get', 'retention')).events).toMatchObject([{ value: '7d' }]);
    expect((await config('unset', 'retention')).events).toMatchObject([{ isSet: false }]);
  });
});

describe.skipIf(!hasMosquitto)('through a real broker', () => {
  let broker: Mosquitto;
  beforeAll(async () => {
    broker = await startMosquitto();
  });
  afterAll(() => broker.stop());

  it(`a loop of two hundred commands arrives in order, read and handled${suffix}`, async () => {
    await countAcross(base, broker.url, 200);
  });

  it('a change of how long the inbox keeps does not cost the connection', async () => {
    const [laptop] = await pair(broker.url);
    const daemon = kept(await up(laptop));
    expect((await mesh(['config', 'set', 'retention', '1h', ...as(laptop)])).status).toBe(0);
    const status = await mesh(['status', ...as(laptop)]);
    expect(status.events[0]).toMatchObject({ broker: { connected: true } });
    expect(daemon.events.filter(({ event }) => event === 'disconnected')).toEqual([]);
  });

  it('twenty at once without a daemon, and one that starts among them: each arrives once', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(phone));
    const sending = Array.from({ length: 20 }, (_, i) =>
      kept(new MeshProcess(['send', phone.deviceId, `message ${i}`, ...as(laptop)])).ended(),
    );
    // Somebody has the store, and others are waiting for it.
    await Promise.race(sending);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('ready');
    const all = await Promise.all(sending);
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 0));
    const got = await mesh(['listen', '--count', '20', '--timeout', '30s', ...as(phone)]);
    expect(got.status, got.stdout).toBe(0);
    expect(texts(got).sort()).toEqual(Array.from({ length: 20 }, (_, i) => `message ${i}`).sort());
    const more = await mesh(['listen', '--count', '1', '--timeout', '500ms', ...as(phone)]);
    expect([more.status, codeOf(more)]).toEqual([6, 'listen-timeout']);
  });

  it('a daemon takes over from a command that waits, and what it waits for comes true there', async () => {
    const [laptop, phone] = await pair(broker.url);
    const args = ['--wait', 'delivered', '--timeout', '60s'];
    const sending = kept(new MeshProcess(['send', phone.deviceId, 'hello', ...args, ...as(laptop)]));
    await eventually(async () => {
      const outbox = await mesh(['outbox', '--json', '--home', laptop.home]);
      return outbox.status === 0 && outbox.events.length === 1;
    }, 'the message is accepted');
    const daemon = kept(await up(laptop));
    expect(sending.child.exitCode).toBe(null);
    expect((await mesh(['status', ...as(laptop)])).events[0]).toMatchObject({ pid: daemon.child.pid });
    kept(await up(phone));
    const sent = await sending.ended();
    expect(sent.status, sent.stdout).toBe(0);
    expect(sent.events).toMatchObject([{ to: [{ deviceId: phone.deviceId, state: 'delivered' }] }]);
    const got = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(phone)]);
    expect(texts(got)).toEqual(['hello']);
  });

  it.each([
    [50, 'of a daemon', true],
    [10, 'that have the store open themselves', false],
  ])('%i readers %s, killed somewhere, lose none and repeat none but the one in hand', async (...args) => {
    const [kills, , hasDaemon] = args;
    const [laptop, phone] = await pair(broker.url);
    kept(await up(laptop));
    if (hasDaemon) kept(await up(phone));
    const sent: string[] = [];
    const send = (client: RpcClient, count: number): Promise<unknown> =>
      Promise.all(
        Array.from({ length: count }, () => {
          const text = `message ${sent.length}`;
          sent.push(text);
          return client.call('send', { target: phone.deviceId, text });
        }),
      );
    const lives: (readonly { readonly id: string; readonly text: string }[])[] = [];
    await withClient(laptop, async (client) => {
      await send(client, 50);
      for (let life = 0; life < kills; life++) {
        const reader = kept(new MeshProcess(['listen', ...as(phone)]));
        await send(client, 15);
        await reader.saw('message');
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
        const { events } = await reader.stop('SIGKILL');
        lives.push(events.map(({ id, text }) => ({ id: String(id), text: String(text) })));
      }
    });
    const seen: { readonly id: string; readonly text: string }[] = [];
    let repeated = 0;
    const follow = (life: (typeof lives)[number]): void => {
      const again = life[0] !== undefined && life[0].id === seen.at(-1)?.id;
      if (again) repeated += 1;
      seen.push(...life.slice(again ? 1 : 0));
    };
    lives.forEach(follow);
    const rest = await mesh(['listen', '--timeout', '5s', ...as(phone)]);
    expect(rest.status).toBe(0);
    follow(rest.events.map(({ id, text }) => ({ id: String(id), text: String(text) })));
    expect(seen.map(({ text }) => text)).toEqual(sent);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(sent.length);
    // Some of the kills did fall between the line and the mark.
    if (hasDaemon) expect(repeated).toBeGreaterThan(0);
  });

  it('a command that is run for a message can answer it, without keys of its own', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(laptop));
    const bin = await installed(base);
    // No daemon here: the reader itself has the store open, and serves the command.
    const command = 'mesh send "$MESH_FROM" "got $(cat)" --wait accepted --quiet';
    const answering = shell(`mesh listen --count 1 --timeout 60s --exec '${command}'`, phone, bin);
    const asked = await mesh(['send', phone.deviceId, 'a question', ...as(laptop)]);
    expect(asked.status).toBe(0);
    const ran = await answering.ended;
    expect(ran.status, ran.stderr).toBe(0);
    expect(ran.stderr).toBe('');
    // The answer is durable; a daemon, or the next command, brings it on its way.
    kept(await up(phone));
    const got = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(laptop)]);
    expect(texts(got)).toEqual(['got a question']);
  });
});
