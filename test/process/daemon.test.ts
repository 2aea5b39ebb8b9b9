/** The daemon as an administrator meets it: starting, stopping, its log, and clients that misbehave. */
import { readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRpcClient } from '../../src/adapters/rpc/client.ts';
import { isObject, type JsonObject } from '../../src/adapters/rpc/protocol.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';
import { MeshError } from '../../src/entities/errors.ts';
import { eventually, freePort } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, MeshProcess, mesh, up } from './mesh-process.ts';

let base: string;
let running: MeshProcess[] = [];
let sockets: Socket[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await Promise.all(running.map((one) => one.stop('SIGKILL')));
  running = [];
  await rm(base, { recursive: true, force: true });
});

const kept = <T extends MeshProcess>(one: T): T => {
  running.push(one);
  return one;
};
const codeOf = (ended: Ended): unknown => ended.events.at(-1)?.code;
const nowhere = async (): Promise<string> => `mqtt://127.0.0.1:${await freePort()}`;
const pair = async (
  brokerUrl: string,
  login?: { readonly user: string; readonly password: string },
): Promise<readonly [MeshDevice, MeshDevice]> => {
  const [laptop, phone] = await makeMesh({ count: 2, dir: base, brokerUrl, login });
  if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
  return [laptop, phone];
};
const ready = async (device: MeshDevice, ...args: readonly string[]): Promise<MeshProcess> => {
  const daemon = kept(new MeshProcess(['up', ...as(device), ...args]));
  await daemon.saw('ready');
  return daemon;
};

describe('a start that cannot be', () => {
  it('ends with 3 where the key is not the right one, and leaves the store as it was', async () => {
    const [laptop, phone] = await pair(await nowhere());
    const wrong = await mesh(['up', ...as({ ...laptop, keyFile: phone.keyFile })]);
    expect([wrong.status, codeOf(wrong)]).toEqual([3, 'store-wrong-secret']);
    expect(wrong.events).toHaveLength(1);
    await ready(laptop);
  });

  it('ends with 3 where another daemon has the store, which goes on undisturbed', async () => {
    const [laptop] = await pair(await nowhere());
    const first = await ready(laptop);
    const second = await mesh(['up', ...as(laptop)]);
    expect([second.status, codeOf(second)]).toEqual([3, 'daemon-running']);
    expect((await mesh(['status', ...as(laptop)])).events[0]).toMatchObject({ pid: first.child.pid });
  });

  it.skipIf(!hasMosquitto)('ends with 5 where the broker refuses the login, and says so once', async () => {
    const strict = await startMosquitto({ logins: { alice: 'right' } });
    try {
      const [laptop] = await pair(strict.url, { user: 'alice', password: 'wrong' });
      const ended = await mesh(['up', ...as(laptop)]);
      expect(ended.status).toBe(5);
      expect(ended.events.filter(({ event }) => event === 'error')).toHaveLength(1);
      expect(ended.events.filter(({ event }) => event === 'disconnected')).toHaveLength(1);
    } finally {
      await strict.stop();
    }
  });
});

describe('the log', () => {
  const lines = ({ stderr }: Ended): JsonObject[] =>
    stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line): JsonObject => JSON.parse(line));
  const levels = (ended: Ended): Set<unknown> => new Set(lines(ended).map(({ level }) => level));

  it('is JSON where nobody sits before it, each line with a level, a time and what happened', async () => {
    const [laptop] = await pair(await nowhere());
    const daemon = await ready(laptop);
    await daemon.saw('disconnected');
    const all = lines(await daemon.stop());
    expect(all.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['ready', 'stopping', 'stopped', expect.stringContaining('broker')]),
    );
    for (const { level, time } of all) {
      expect(['info', 'warn']).toContain(level);
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    }
  });

  it('says nothing with --quiet unless something fails, and more with -v', async () => {
    const [laptop] = await pair(await nowhere());
    const quiet = await ready(laptop, '--quiet');
    await quiet.saw('disconnected');
    expect((await quiet.stop()).stderr).toBe('');
    const port = await freePort();
    const [pi, phone] = await makeMesh({ count: 2, dir: join(base, 'more'), embeddedPort: port });
    if (pi === undefined || phone === undefined) throw new Error('two were asked for');
    const plain = await ready(pi, '--embedded-broker', `127.0.0.1:${port}`);
    const verbose = await ready(phone, '-v');
    const sent = await mesh([
      'send',
      pi.deviceId,
      'hi',
      '--wait',
      'delivered',
      '--timeout',
      '20s',
      ...as(phone),
    ]);
    expect(sent.status, sent.stdout).toBe(0);
    expect([...levels(await verbose.stop())].sort()).toEqual(['debug', 'info']);
    expect([...levels(await plain.stop())]).toEqual(['info']);
  });
});

describe('a client', () => {
  /** A connection that reads only when it is told to. */
  async function connected(device: MeshDevice): Promise<Socket> {
    const socket = connect({ path: join(device.home, 'socket') });
    sockets.push(socket);
    socket.pause();
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  }

  async function memoryOf(process: MeshProcess): Promise<number> {
    // Only Linux tells.
    const status = await readFile(`/proc/${process.child.pid}/status`, 'utf8').catch(() => 'VmRSS: 0 kB');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  it('that sends a line of 100 MB gets an error object, and then its answers', async () => {
    const [laptop] = await pair(await nowhere());
    const daemon = await ready(laptop);
    const before = await memoryOf(daemon);
    const socket = await connected(laptop);
    let answers = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answers += text;
    });
    socket.resume();
    const piece = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 100; i++) {
      await new Promise<void>((resolve) => {
        socket.write(piece, () => resolve());
      });
    }
    socket.write('\n{"jsonrpc":"2.0","id":1,"method":"hello"}\n');
    await eventually(() => answers.split('\n').length > 2, 'both are answered');
    const [refusal, answer] = answers
      .split('\n')
      .slice(0, -1)
      .map((line): JsonObject => JSON.parse(line));
    expect(refusal).toMatchObject({ id: null, error: { data: { code: 'rpc-too-large' } } });
    expect(answer).toMatchObject({ id: 1, result: { api: 1 } });
    expect((await memoryOf(daemon)) - before).toBeLessThan(50);
  });

  it('that never reads is dropped, and keeps nobody else waiting', async () => {
    const [laptop] = await pair(await nowhere());
    const daemon = await ready(laptop);
    const before = await memoryOf(daemon);
    const deaf = await connected(laptop);
    const over = new Promise((resolve) => deaf.once('close', resolve));
    const request = '{"jsonrpc":"2.0","id":1,"method":"config.list"}\n';
    let asking = true;
    const askOn = (): void => {
      if (asking && !deaf.destroyed) deaf.write(request.repeat(500), () => setImmediate(askOn));
    };
    askOn();
    const channel = await connectSocket(laptop.home);
    if (channel === undefined) throw new Error('nobody serves the laptop');
    const client = createRpcClient(channel);
    let slowest = 0;
    let gone = false;
    void over.then(() => {
      gone = true;
    });
    for (const end = performance.now() + 20_000; !gone && performance.now() < end; ) {
      const began = performance.now();
      await client.call('status');
      slowest = Math.max(slowest, performance.now() - began);
    }
    asking = false;
    client.close();
    expect(gone).toBe(true);
    expect(slowest).toBeLessThan(2000);
    expect((await memoryOf(daemon)) - before).toBeLessThan(200);
  });
});

describe.skipIf(!hasMosquitto)('under load', () => {
  let broker: Mosquitto;
  beforeAll(async () => {
    broker = await startMosquitto();
  });
  afterAll(() => broker.stop());

  /** Sends as fast as it is answered until the daemon ends; what was accepted, in the order of asking. */
  async function sendUntilItEnds(device: MeshDevice, target: string): Promise<string[]> {
    const channel = await connectSocket(device.home);
    if (channel === undefined) throw new Error('nobody serves the sender');
    const client = createRpcClient(channel);
    const accepted: string[] = [];
    let next = 0;
    const sender = async (): Promise<void> => {
      for (;;) {
        const text = `message ${next++}`;
        try {
          await client.call('send', { target, text, id: text, wait: 'accepted' });
        } catch (error) {
          if (error instanceof MeshError && ['daemon-stopping', 'daemon-gone'].includes(error.code)) return;
          throw error;
        }
        accepted.push(text);
      }
    };
    await Promise.all(Array.from({ length: 32 }, sender));
    client.close();
    return accepted;
  }

  it('a daemon that is told to stop does so within two seconds, and loses nothing it has accepted', async () => {
    const [laptop, phone] = await pair(broker.url);
    const [sender, receiver] = [kept(await up(laptop)), kept(await up(phone))];
    const accepted: string[] = [];
    for (const stopped of [sender, receiver]) {
      const from = stopped === sender ? laptop : phone;
      const to = stopped === sender ? phone : laptop;
      const sending = sendUntilItEnds(from, to.deviceId);
      await new Promise((resolve) => setTimeout(resolve, 700));
      const began = performance.now();
      const ended = await stopped.stop('SIGTERM');
      expect(performance.now() - began).toBeLessThan(2000);
      expect(ended.status, ended.stderr).toBe(0);
      const these = await sending;
      expect(these.length).toBeGreaterThan(100);
      if (stopped === sender) {
        accepted.push(...these);
        kept(await up(laptop));
      } else {
        await arrivesAt(laptop, these, phone);
      }
    }
    await arrivesAt(phone, accepted, laptop);
  });

  /** Each once and in order; there may be more, which were accepted though nobody was told any more. */
  async function arrivesAt(device: MeshDevice, accepted: readonly string[], from: MeshDevice): Promise<void> {
    if ((await mesh(['status', ...as(from)])).events[0]?.host !== 'daemon') kept(await up(from));
    if ((await mesh(['status', ...as(device)])).events[0]?.host !== 'daemon') kept(await up(device));
    await eventually(
      async () => {
        const status = (await mesh(['status', ...as(from)])).events[0];
        return isObject(status) && status.outbox === 0;
      },
      'all is delivered',
      30_000,
    );
    const got = await mesh(['listen', '--timeout', '6s', ...as(device)]);
    const texts = got.events.map(({ text }) => String(text));
    expect(new Set(texts).size).toBe(texts.length);
    const arrived = new Set(texts);
    expect(accepted.filter((text) => !arrived.has(text))).toEqual([]);
    const numbers = texts.map((text) => Number(text.slice('message '.length)));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
});
