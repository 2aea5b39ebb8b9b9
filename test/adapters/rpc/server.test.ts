import { expect, test, vi } from 'vitest';
import { createRpcClient } from '../../../src/adapters/rpc/client.ts';
import type { JsonObject } from '../../../src/adapters/rpc/protocol.ts';
import {
  type Caller,
  createRpcServer,
  DEFAULT_SERVER_LIMITS,
  type MethodTable,
  type ServerLimits,
} from '../../../src/adapters/rpc/server.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import { fromUtf8, utf8 } from '../../../src/entities/text.ts';
import { connectedChannels, type LooseChannel } from '../../support/connected-channels.ts';
import { HandClock } from '../../support/keystore.ts';

const { requests, unreadBytes } = DEFAULT_SERVER_LIMITS;

interface Rig {
  readonly channel: LooseChannel;
  readonly answers: JsonObject[];
  readonly clock: HandClock;
  readonly bugs: unknown[];
  readonly server: ReturnType<typeof createRpcServer>;
  say(line: string): void;
  readonly accept: () => LooseChannel;
}

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rig(methods: MethodTable, limits: Partial<ServerLimits> = {}): Rig {
  const clock = new HandClock();
  const bugs: unknown[] = [];
  const server = createRpcServer({ methods, clock, bug: (error) => bugs.push(error), limits });
  const accept = (): LooseChannel => {
    const [near, far] = connectedChannels();
    server.accept(far);
    return near;
  };
  const channel = accept();
  const answers: JsonObject[] = [];
  let text = '';
  channel.attach({
    data(bytes) {
      text += fromUtf8(bytes);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) answers.push(JSON.parse(line));
    },
    finished: () => undefined,
    closed: () => undefined,
  });
  return { channel, answers, clock, bugs, server, say: (line) => channel.write(utf8(`${line}\n`)), accept };
}

const echo: MethodTable = {
  async echo(params) {
    return params;
  },
};
const request = (id: unknown, method: string, params?: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });
const codes = (answers: readonly JsonObject[]): unknown[] =>
  answers.map(({ error }) => (error as { data?: { code?: unknown } } | undefined)?.data?.code);

test('a request is answered under its id, whatever kind of id that is', async () => {
  const { say, answers } = rig(echo);
  for (const id of [1, 'one', null]) say(request(id, 'echo', { id }));
  await turns();
  expect(answers).toEqual([1, 'one', null].map((id) => ({ jsonrpc: '2.0', id, result: { id } })));
});

test.each([
  ['not json', 'rpc-parse'],
  ['\xff\xfe', 'rpc-parse'],
  ['[]', 'rpc-invalid'],
  ['7', 'rpc-invalid'],
  ['{}', 'rpc-invalid'],
  ['{"jsonrpc":"1.0","id":1,"method":"echo"}', 'rpc-invalid'],
  ['{"jsonrpc":"2.0","id":{},"method":"echo"}', 'rpc-invalid'],
  ['{"jsonrpc":"2.0","id":1,"method":7}', 'rpc-invalid'],
  ['{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}', 'rpc-params-invalid'],
  ['{"jsonrpc":"2.0","id":1,"method":"constructor"}', 'rpc-unknown-method'],
  ['{"jsonrpc":"2.0","id":1,"method":"nothing"}', 'rpc-unknown-method'],
])('the line %s gets an error object, and the next one its answer', async (line, code) => {
  const { say, answers } = rig(echo);
  say(line);
  say(request(2, 'echo', {}));
  await turns();
  expect(codes(answers)).toEqual([code, undefined]);
  expect(answers[1]).toMatchObject({ id: 2, result: {} });
});

test('a huge line gets an error object before it ends, and the next one its answer', async () => {
  const { channel, say, answers } = rig(echo, { lineBytes: 1000 });
  for (let i = 0; i < 20; i++) channel.write(utf8('x'.repeat(100)));
  await turns();
  expect(codes(answers)).toEqual(['rpc-too-large']);
  say('');
  say(request(2, 'echo', {}));
  await turns();
  expect(answers[1]).toMatchObject({ id: 2, result: {} });
});

test('a notification gets no answer, not even to an unknown method', async () => {
  const { say, answers } = rig(echo);
  say('{"jsonrpc":"2.0","method":"echo"}');
  say('{"jsonrpc":"2.0","method":"nothing"}');
  await turns();
  expect(answers).toEqual([]);
});

test('a failure comes with its code, its hint and its exit status', async () => {
  const { channel } = rig({
    async fail() {
      throw new MeshError('device-unknown', { text: 'the Pi' });
    },
  });
  const client = createRpcClient(channel);
  const error = await client.call('fail').catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MeshError);
  expect(error).toMatchObject({ code: 'device-unknown', data: { text: 'the Pi' }, exit: 4 });
});

test('a bug is told to the program and not to the caller', async () => {
  const { say, answers, bugs } = rig({
    async fail() {
      throw new TypeError('the password is hunter2');
    },
  });
  say(request(1, 'fail'));
  await turns();
  expect(codes(answers)).toEqual(['bug']);
  expect(JSON.stringify(answers)).not.toContain('hunter2');
  expect(bugs).toEqual([expect.any(TypeError)]);
});

test('a client that does not read is dropped with a last error, and the others are served on', async () => {
  let caller: Caller | undefined;
  let gone = false;
  const { channel, accept, clock } = rig(
    {
      async subscribe(_params, who) {
        caller = who;
        who.onGone(() => {
          gone = true;
        });
        return null;
      },
      ...echo,
    },
    { unreadBytes: 10_000 },
  );
  const slow = createRpcClient(channel);
  await slow.call('subscribe');
  channel.freeze();
  const other = createRpcClient(accept());
  for (let i = 0; i < 100 && !gone; i++) caller?.notify('news', { text: 'x'.repeat(1000) });
  expect(gone).toBe(true);
  expect(channel.unsent).toBeLessThan(20_000);
  expect(await other.call('echo', { still: 'here' })).toEqual({ still: 'here' });
  expect(channel.isOver).toBe(false);
  clock.pass(1000);
  expect(channel.isOver).toBe(true);
});

test('a client that reads late enough finds out why it was dropped', async () => {
  let caller: Caller | undefined;
  const { channel, server } = rig({
    async subscribe(_params, who) {
      caller = who;
      return null;
    },
  });
  const client = createRpcClient(channel);
  await client.call('subscribe');
  channel.pause();
  const text = 'x'.repeat(1_000_000);
  for (let sent = 0; sent <= unreadBytes; sent += text.length) caller?.notify('news', { text });
  channel.resume();
  expect(await client.ended).toMatchObject({ code: 'rpc-slow-client' });
  server.stop();
});

test('a client that could not read yet is not slow: all answers of one turn reach it, each as long as they come', async () => {
  const { channel, say, answers } = rig({
    async list() {
      // A message to everybody in a large mesh is answered with all of them.
      return 'x'.repeat(50_000);
    },
  });
  channel.pause();
  for (let i = 0; i < requests; i++) say(request(i, 'list'));
  await turns();
  channel.resume();
  await turns();
  expect(codes(answers)).toEqual(Array.from({ length: requests }, () => undefined));
});

test('a client is not read from while it has too many requests under way', async () => {
  const release: (() => void)[] = [];
  const begun = vi.fn();
  const { say, answers } = rig(
    {
      wait: () =>
        new Promise((resolve) => {
          begun();
          release.push(() => resolve(null));
        }),
    },
    { requests: 3 },
  );
  for (let i = 0; i < 10; i++) {
    say(request(i, 'wait'));
    await turns();
  }
  expect(begun).toHaveBeenCalledTimes(3);
  for (let i = 0; i < 10; i++) {
    release.shift()?.();
    await turns();
  }
  expect(answers).toHaveLength(10);
});

test('more clients than may be are turned away with a reason', async () => {
  const { accept } = rig(echo, { clients: 1 });
  const client = createRpcClient(accept());
  expect(await client.ended).toMatchObject({ code: 'rpc-too-many-clients' });
});

test('what is under way may end before a stop; what comes then is refused', async () => {
  let finish: () => void = () => undefined;
  const { channel, server } = rig({
    wait: () =>
      new Promise((resolve) => {
        finish = () => resolve('done');
      }),
  });
  const client = createRpcClient(channel);
  const waiting = client.call('wait');
  await turns();
  const drained = server.drain();
  await expect(client.call('wait')).rejects.toMatchObject({ code: 'daemon-stopping' });
  finish();
  await drained;
  expect(await waiting).toBe('done');
});

test('whoever still waits when it stops is told so', async () => {
  const { channel, server } = rig({ wait: () => new Promise(() => undefined) });
  const client = createRpcClient(channel);
  const waiting = client.call('wait');
  await turns();
  server.stop();
  await expect(waiting).rejects.toMatchObject({ code: 'daemon-stopping' });
  await expect(client.ended).resolves.toBeInstanceOf(MeshError);
  await expect(client.call('wait')).rejects.toMatchObject({ code: 'daemon-gone' });
});

test('what fails because everything is closed under it is no bug', async () => {
  let close: () => void = () => undefined;
  const { channel, server, bugs } = rig({
    wait: () =>
      new Promise((_resolve, reject) => {
        close = () => reject(new Error('the store was used after it had been closed'));
      }),
  });
  const client = createRpcClient(channel);
  const waiting = client.call('wait');
  await turns();
  server.stop();
  close();
  await expect(waiting).rejects.toMatchObject({ code: 'daemon-stopping' });
  await turns();
  expect(bugs).toEqual([]);
});
