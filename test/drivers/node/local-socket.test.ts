import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Channel } from '../../../src/adapters/rpc/channel.ts';
import {
  connectSocket,
  type LocalServer,
  serveSocket,
  socketPath,
} from '../../../src/drivers/node/local-socket.ts';
import { fromUtf8, utf8 } from '../../../src/entities/text.ts';
import { eventually } from '../../brokers/loopback.ts';
import { temporaryDirectory } from '../../support/home.ts';
import { codeOf } from '../../support/keystore.ts';

let base: string;
let servers: LocalServer[];
let accepted: Channel[];

beforeEach(async () => {
  base = await temporaryDirectory();
  servers = [];
  accepted = [];
});
afterEach(async () => {
  for (const channel of accepted) channel.destroy();
  for (const server of servers) await server.close();
  await rm(base, { recursive: true, force: true });
});

async function serve(home: string): Promise<LocalServer> {
  const server = await serveSocket(home, (channel) => {
    accepted.push(channel);
    channel.attach({
      data: (bytes) => channel.write(bytes),
      finished: () => channel.end(),
      closed: () => undefined,
    });
  });
  servers.push(server);
  return server;
}

async function echoed(home: string): Promise<boolean> {
  const channel = await connectSocket(home);
  let heard = '';
  channel?.attach({
    data: (bytes) => {
      heard += fromUtf8(bytes);
    },
    finished: () => undefined,
    closed: () => undefined,
  });
  channel?.write(utf8('hello'));
  if (channel !== undefined) await eventually(() => heard === 'hello', 'the echo comes');
  channel?.destroy();
  return channel !== undefined;
}

test('a home is talked to through a socket that is its owner’s alone, while it is served', async () => {
  expect(await echoed(base)).toBe(false);
  const server = await serve(base);
  expect(await echoed(base)).toBe(true);
  expect((await stat(socketPath(base))).mode & 0o777).toBe(0o600);
  await server.close();
  expect(await echoed(base)).toBe(false);
});

test('what a process left behind that was killed is replaced', async () => {
  await writeFile(socketPath(base), '');
  await serve(base);
  expect(await echoed(base)).toBe(true);
});

test('its place follows from the home alone', () => {
  const home = join(base, 'home');
  expect(socketPath(`${home}/../home/`)).toBe(socketPath(home));
  expect(socketPath(home)).toBe(join(home, 'socket'));
});

test('a home with a long path has its socket elsewhere, in a directory that is the user’s alone', async () => {
  const home = join(base, 'x'.repeat(90));
  await mkdir(home);
  expect(Buffer.byteLength(socketPath(home))).toBeLessThan(104);
  await serve(home);
  expect(await echoed(home)).toBe(true);
  const place = dirname(socketPath(home));
  expect((await stat(place)).mode & 0o777).toBe(0o700);
  await chmod(place, 0o755);
  try {
    expect(await codeOf(connectSocket(home))).toBe('socket-unsafe');
    expect(await codeOf(serveSocket(home, () => undefined))).toBe('socket-unsafe');
  } finally {
    await chmod(place, 0o700);
  }
});
