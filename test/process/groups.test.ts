/** Groups: the whole program, as scripts use it, on three devices of one mesh. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Channel } from '../../src/adapters/rpc/channel.ts';
import { createRpcServer, type MethodTable } from '../../src/adapters/rpc/server.ts';
import { serveSocket } from '../../src/drivers/node/local-socket.ts';
import { eventually, freePort, realClock } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, type Event, type MeshProcess, mesh, up } from './mesh-process.ts';
import { outcome } from './pairing-cast.ts';

let base: string;
let port: number;
let devices: readonly MeshDevice[];
const running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  port = await freePort();
  devices = await makeMesh({
    count: 3,
    dir: base,
    embeddedPort: port,
    names: ['laptop', 'phone', 'pi'],
  });
});
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
  await rm(base, { recursive: true, force: true });
});

const device = (index: number): MeshDevice => {
  const one = devices[index];
  if (one === undefined) throw new Error(`there is no device ${index}`);
  return one;
};
const cast = (): readonly [MeshDevice, MeshDevice, MeshDevice] => [device(0), device(1), device(2)];

/** Each with a daemon, and acquainted. */
async function daemons(): Promise<readonly [MeshDevice, MeshDevice, MeshDevice]> {
  const all = cast();
  for (const [index, one] of all.entries()) {
    running.push(await up(one, ...(index === 0 ? ['--embedded-broker', `127.0.0.1:${port}`] : [])));
  }
  for (const from of all) {
    const hello = ['send', 'all', 'hello', '--thread', 'hello', '--wait', 'delivered', '--timeout', '30s'];
    const sent = await mesh([...hello, ...as(from)]);
    expect(sent.status, sent.stdout).toBe(0);
  }
  return all;
}

const group = (at: MeshDevice, ...args: string[]): Promise<Ended> => mesh(['group', ...args, ...as(at)]);
const send = (from: MeshDevice, target: string, text: string): Promise<Ended> =>
  mesh(['send', target, text, '--wait', 'delivered', '--timeout', '30s', ...as(from)]);
/** What comes in the time, or what there is of so many. */
const heard = async (at: MeshDevice, ...args: string[]): Promise<readonly Event[]> => {
  const { events } = await mesh(['listen', '--timeout', '20s', ...args, ...as(at)]);
  return events.filter(({ event }) => event === 'message');
};
const texts = (events: readonly Event[]): unknown[] => events.map(({ text }) => text);
const ids = (...some: readonly MeshDevice[]): string[] => some.map(({ deviceId }) => deviceId).sort();
const addressees = ({ events, stdout }: Ended): unknown[] => {
  const to = events[0]?.to;
  if (!Array.isArray(to)) throw new Error(`nothing was sent: ${stdout}`);
  return to.map(({ deviceId }) => deviceId).sort();
};

async function groupsAt(at: MeshDevice): Promise<readonly Event[]> {
  return (await group(at, 'list')).events;
}
const knows = (at: MeshDevice, name: string, members: readonly string[]): Promise<void> =>
  eventually(
    async () => {
      const found = (await groupsAt(at)).find((one) => one.group === name);
      return JSON.stringify(found?.members) === JSON.stringify(members);
    },
    `${at.name} knows of ${name}`,
    30_000,
  );

describe('a group', () => {
  it('gets what is sent to it, from inside and from outside, and nobody else does', async () => {
    const [laptop, phone, pi] = await daemons();
    const made = await group(laptop, 'create', '@phones', 'phone');
    expect([made.status, made.events]).toMatchObject([0, [{ group: 'phones', members: ids(laptop, phone) }]]);
    const groupId = made.events[0]?.groupId;
    await knows(phone, 'phones', ids(laptop, phone));
    await knows(pi, 'phones', ids(laptop, phone));

    const inside = await send(laptop, '@phones', 'from inside');
    expect([inside.status, addressees(inside)]).toEqual([0, ids(phone)]);
    const outside = await send(pi, '@phones', 'from outside');
    expect([outside.status, addressees(outside)]).toEqual([0, ids(laptop, phone)]);
    const all = await send(laptop, 'all', 'to everybody');
    expect([all.status, addressees(all)]).toEqual([0, ids(phone, pi)]);

    const sent = (await mesh(['outbox', '--all', ...as(laptop)])).events;
    expect(sent.map((one) => one.group).filter((one) => one === 'phones')).toEqual(['phones']);

    const atPhone = await heard(phone, '--group', 'phones', '--count', '2');
    expect(texts(atPhone)).toEqual(['from inside', 'from outside']);
    expect(atPhone[1]).toMatchObject({ fromName: 'pi', group: 'phones', groupId });
    expect(texts(await heard(laptop, '--group', '@phones', '--count', '1'))).toEqual(['from outside']);
    const atPi = await heard(pi, '--group', 'all', '--count', '3', '--timeout', '5s');
    expect(texts(atPi)).toEqual(['hello', 'hello', 'to everybody']);
    expect(new Set(atPi.map((one) => one.group))).toEqual(new Set(['all']));
    // Everything that came there at all.
    expect(texts(await heard(pi, '--cursor', 'whole', '--timeout', '1s'))).not.toContain('from inside');

    const [everybody, phones] = await groupsAt(laptop);
    expect(everybody).toMatchObject({ group: 'all', groupId: 'all', members: ids(laptop, phone, pi) });
    expect(phones).toMatchObject({
      group: 'phones',
      groupId,
      members: ids(laptop, phone),
      keys: { [phone.deviceId]: { ours: 'held', theirs: false } },
    });
    const told = await mesh(['group', 'list', '--home', laptop.home, '--key-file', laptop.keyFile]);
    expect(told.stdout).toMatch(/^all\n/);
    expect(told.stdout).toMatch(/\n@phones {2}[0-9a-f]{12}\n/);
    expect(told.stdout).toMatch(/phone +has our key; it has given us none yet/);
    expect(told.stdout).toMatch(/laptop +this device/);

    const rotated = await group(laptop, 'rotate', 'phones');
    expect([rotated.status, rotated.events]).toMatchObject([0, [{ group: 'phones', rotated: true }]]);
    expect((await group(laptop, 'rotate', 'phones')).events).toMatchObject([{ rotated: false }]);
    expect((await send(laptop, '@phones', 'under another key')).status).toBe(0);
    expect(texts(await heard(phone, '--group', 'phones', '--count', '1'))).toEqual(['under another key']);
  });

  it('follows its members and its name, and ends', async () => {
    const [laptop, phone, pi] = await daemons();
    await group(laptop, 'create', 'phones', 'phone', 'pi');
    await knows(phone, 'phones', ids(laptop, phone, pi));
    expect((await send(laptop, '@phones', 'one')).status).toBe(0);

    const removed = await group(phone, 'remove', 'phones', 'pi');
    expect([removed.status, removed.events]).toMatchObject([0, [{ members: ids(laptop, phone) }]]);
    await knows(laptop, 'phones', ids(laptop, phone));
    expect(addressees(await send(laptop, '@phones', 'two'))).toEqual(ids(phone));
    expect(outcome(await group(laptop, 'remove', 'phones', 'pi'))).toEqual([4, 'device-not-in-group']);

    const added = await group(laptop, 'add', 'phones', 'pi', 'phone');
    expect(added.events).toMatchObject([{ members: ids(laptop, phone, pi) }]);
    await knows(phone, 'phones', ids(laptop, phone, pi));
    expect(addressees(await send(phone, '@phones', 'three'))).toEqual(ids(laptop, pi));

    const renamed = await group(pi, 'rename', '@phones', 'all that ring');
    expect([renamed.status, renamed.events[0]?.group]).toEqual([0, 'all that ring']);
    await knows(laptop, 'all that ring', ids(laptop, phone, pi));
    expect(outcome(await send(laptop, '@phones', 'x'))).toEqual([4, 'group-unknown']);
    expect((await send(laptop, '@all that ring', 'four')).status).toBe(0);
    const command = ['--exec', 'echo "$MESH_GROUP: $(cat)"', '--cursor', 'commands'];
    const ran = await mesh([
      'listen',
      ...command,
      ...['--group', 'all that ring', '--count', '3', '--timeout', '20s'],
      ...['--home', pi.home, '--key-file', pi.keyFile],
    ]);
    expect(ran.stdout).toBe('all that ring: one\nall that ring: three\nall that ring: four\n');

    const ended = await group(laptop, 'delete', 'all that ring');
    expect([ended.status, ended.events]).toMatchObject([0, [{ group: 'all that ring', members: [] }]]);
    await eventually(async () => (await groupsAt(pi)).length === 1, 'the end is known', 30_000);
    expect(outcome(await send(pi, '@all that ring', 'x'))).toEqual([4, 'group-unknown']);
    expect(outcome(await group(laptop, 'delete', 'all that ring'))).toEqual([4, 'group-unknown']);
    const shown = await mesh([
      ...['listen', '--thread', 'none', '--timeout', '1s', '--group', 'all that ring'],
      ...as(pi),
    ]);
    expect(outcome(shown)).toEqual([4, 'group-unknown']);
    const old = await heard(pi, '--from', 'laptop', '--count', '3');
    expect(old.map((one) => [one.group, one.text])).toEqual([
      ['all', 'hello'],
      ['all that ring', 'one'],
      ['all that ring', 'four'],
    ]);
  });

  it('whose name two devices gave at once is not guessed at', async () => {
    const [laptop, phone] = cast();
    // Neither has heard of the other's, and no broker is there to tell.
    const one = await group(laptop, 'create', 'phones');
    const two = await group(phone, 'create', 'phones');
    expect([one.status, two.status]).toEqual([0, 0]);
    await daemons();
    await eventually(async () => (await groupsAt(laptop)).length === 3, 'both are known', 30_000);
    for (const ambiguous of [
      await send(laptop, '@phones', 'x'),
      await group(laptop, 'delete', 'phones'),
      await mesh(['listen', '--group', 'phones', ...as(laptop)]),
    ]) {
      expect(outcome(ambiguous)).toEqual([4, 'group-ambiguous']);
      for (const { events } of [one, two]) expect(ambiguous.stdout).toContain(String(events[0]?.groupId));
    }
    const id = String(two.events[0]?.groupId);
    const sent = await send(laptop, `@${id.slice(0, 10)}`, 'to the phone');
    expect([sent.status, addressees(sent)]).toEqual([0, ids(phone)]);
    expect((await group(laptop, 'delete', String(one.events[0]?.groupId))).status).toBe(0);
    expect((await send(laptop, '@phones', 'again')).status).toBe(0);
  });
});

it('a mistake is told by its status, with or without a daemon', async () => {
  const [laptop, phone] = cast();
  running.push(await up(laptop, '--embedded-broker', `127.0.0.1:${port}`));
  expect((await send(phone, 'laptop', 'hello')).status).toBe(0);
  const mine = await group(laptop, 'create', 'mine');
  expect([mine.status, mine.events]).toMatchObject([0, [{ members: ids(laptop), keys: {} }]]);
  for (const [words, expected] of [
    [
      ['create', 'all'],
      [2, 'group-name-reserved'],
    ],
    [
      ['create', ''],
      [2, 'name-empty'],
    ],
    [
      ['create', 'mine'],
      [1, 'group-name-taken'],
    ],
    [
      ['create', 'x', 'nobody'],
      [4, 'device-unknown'],
    ],
    [
      ['add', 'mine'],
      [2, 'usage'],
    ],
    [
      ['add', 'nothing', 'phone'],
      [4, 'group-unknown'],
    ],
    [
      ['add', 'all', 'phone'],
      [2, 'group-everybody'],
    ],
    [
      ['remove', 'mine', 'phone'],
      [4, 'device-not-in-group'],
    ],
    [
      ['rename', 'nothing', 'x'],
      [4, 'group-unknown'],
    ],
    [
      ['delete', 'nothing'],
      [4, 'group-unknown'],
    ],
    [
      ['rotate', 'nothing'],
      [4, 'group-unknown'],
    ],
    [['what'], [2, 'usage']],
  ] as const) {
    expect(outcome(await group(laptop, ...words)), words.join(' ')).toEqual(expected);
  }
  expect(outcome(await send(laptop, '@nothing', 'x'))).toEqual([4, 'group-unknown']);
  expect(outcome(await send(laptop, '@mine', 'x'))).toEqual([4, 'no-recipient']);
  // A command without a daemon hears of the group before it does its work.
  const sent = await send(phone, '@mine', 'from a command');
  expect([sent.status, addressees(sent)]).toEqual([0, ids(laptop)]);
  expect(texts(await heard(laptop, '--group', 'mine', '--count', '1'))).toEqual(['from a command']);
});

it('"all" is everybody, though a device and its person call it so', async () => {
  const [laptop, phone, pi] = await daemons();
  expect((await mesh(['rename', 'all', ...as(phone)])).status).toBe(0);
  await eventually(
    async () => (await mesh(['devices', ...as(laptop)])).events.some(({ name }) => name === 'all'),
    'the name is known',
    30_000,
  );
  expect(addressees(await send(laptop, 'all', 'x'))).toEqual(ids(phone, pi));
  expect(addressees(await send(laptop, '@all', 'x'))).toEqual(ids(phone, pi));
  expect(addressees(await send(laptop, phone.deviceId, 'x'))).toEqual(ids(phone));
});

it('a call whose connection ended without an answer is made once more, and says so', async () => {
  const home = join(base, 'elsewhere');
  await mkdir(home, { mode: 0o700 });
  const asked: unknown[] = [];
  const channels: Channel[] = [];
  const answer = { group: 'mine', groupId: 'f'.repeat(64), members: [], keys: {} };
  const methods: MethodTable = {
    hello: async () => ({ api: 1, freshId: '0'.repeat(32) }),
    devices: async () => [],
    async 'group.create'(params) {
      asked.push(params);
      if (asked.length === 1) for (const channel of channels) channel.destroy();
      return answer;
    },
  };
  const server = createRpcServer({ methods, clock: realClock, bug: () => undefined });
  const local = await serveSocket(home, (channel) => {
    channels.push(channel);
    server.accept(channel);
  });
  try {
    const { status, events } = await mesh(['group', 'create', 'mine', '--json', '--home', home]);
    expect([status, events]).toEqual([0, [answer]]);
    const params = { name: 'mine', devices: [] };
    expect(asked).toEqual([params, { ...params, again: true }]);
  } finally {
    await local.close();
    for (const channel of channels) channel.destroy();
  }
});
