/** The program as people and scripts meet it: transcripts of real processes. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRpcClient } from '../../src/adapters/rpc/client.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';
import { freePort } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, type Event, MeshProcess, mesh, up } from './mesh-process.ts';

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
const at = (name: string): string => join(base, name);
const codeOf = (ended: Ended): unknown => ended.events.at(-1)?.code;
const deliveries = (event: Event | undefined): readonly Event[] => {
  expect(Array.isArray(event?.to)).toBe(true);
  return event?.to as readonly Event[];
};
const pair = async (brokerUrl?: string): Promise<readonly [MeshDevice, MeshDevice]> => {
  const [laptop, phone] = await makeMesh({ count: 2, dir: base, brokerUrl });
  if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
  return [laptop, phone];
};

describe('making a device', () => {
  const home = (): string[] => ['--home', at('home'), '--json'];

  it('says who it is, and keeps its key outside of its data', async () => {
    const env = { XDG_CONFIG_HOME: at('config') };
    const made = await mesh(['init', '--name', "Alice's laptop", ...home()], { env });
    expect(made.status).toBe(0);
    expect(made.events).toHaveLength(1);
    const [event] = made.events;
    expect(event).toMatchObject({ event: 'initialised', name: "Alice's laptop", home: at('home') });
    expect(event?.deviceId).toMatch(/^[a-z2-7]{32}$/);
    expect(String(event?.fingerprint).replaceAll(' ', '')).toBe(event?.deviceId);
    expect(String(event?.keyFile).startsWith(at('config'))).toBe(true);
    expect((await stat(String(event?.keyFile))).mode & 0o777).toBe(0o600);
    // The next command finds it by itself.
    const devices = await mesh(['devices', ...home()], { env });
    expect(devices.events).toMatchObject([{ deviceId: event?.deviceId, self: true, status: 'member' }]);
  });

  it('is done once: the second time is refused and changes nothing', async () => {
    const init = ['init', '--name', 'the Pi', ...home(), '--key-file', at('key')];
    const first = await mesh(init);
    expect(first.status).toBe(0);
    const second = await mesh(init);
    expect([second.status, codeOf(second)]).toEqual([3, 'store-exists']);
    const devices = await mesh(['devices', ...home(), '--key-file', at('key')]);
    expect(devices.events[0]?.deviceId).toBe(first.events[0]?.deviceId);
  });

  it.each([
    ['', 'name-empty'],
    ['x'.repeat(65), 'name-too-long'],
    ['a\u202Eb', 'name-unprintable'],
  ])('refuses the name %j and leaves nothing behind', async (name, code) => {
    const ended = await mesh(['init', '--name', name, ...home(), '--key-file', at('key')]);
    expect([ended.status, codeOf(ended)]).toEqual([2, code]);
    expect([existsSync(at('home')), existsSync(at('key'))]).toEqual([false, false]);
  });

  it('refuses a broker URL with a login in it, and a password without a name', async () => {
    await writeFile(at('password'), 'hunter2\n', { mode: 0o600 });
    const init = ['init', '--name', 'the Pi', ...home(), '--key-file', at('key')];
    const login = await mesh([...init, '--broker', 'mqtt://a:b@localhost']);
    expect([login.status, codeOf(login)]).toEqual([2, 'broker-url-has-login']);
    const half = await mesh([...init, '--broker-password-file', at('password')]);
    expect([half.status, codeOf(half)]).toEqual([2, 'broker-login-incomplete']);
    expect(existsSync(at('home'))).toBe(false);
  });
});

describe('an error', () => {
  it('is a message and a hint for people, and one line for scripts', async () => {
    const people = await mesh(['status', '--home', at('nowhere')]);
    expect(people.status).toBe(3);
    expect(people.stdout).toBe('');
    expect(people.stderr).toMatch(/^mesh: [a-z].*[^.]\nhint: .*\n$/);
    const scripts = await mesh(['status', '--home', at('nowhere'), '--json']);
    expect(scripts.stderr).toBe('');
    expect(scripts.events).toEqual([
      expect.objectContaining({ event: 'error', code: 'store-not-initialised' }),
    ]);
  });

  it.each([
    [['frobnicate']],
    [['send']],
    [['send', 'pi', 'x', '--frob']],
    [['send', 'pi', 'x', '--wait', 'forever']],
    [['listen', '--count', '0']],
    [['listen', '--timeout', 'soon']],
    [['up', '--embedded-broker', 'not:an:address']],
    [['init']],
  ])('of usage ends with 2: mesh %j', async (args) => {
    const ended = await mesh([...args, '--home', at('nowhere'), '--json']);
    expect(ended.status).toBe(2);
    expect(ended.events).toHaveLength(1);
  });

  it('tells of a wrong key file, a missing one, and one that others can read', async () => {
    const [laptop, phone] = await pair();
    const wrong = await mesh(['status', ...as({ ...laptop, keyFile: phone.keyFile })]);
    expect([wrong.status, codeOf(wrong)]).toEqual([3, 'store-wrong-secret']);
    const missing = await mesh(['status', ...as({ ...laptop, keyFile: at('none') })]);
    expect([missing.status, codeOf(missing)]).toEqual([3, 'store-secret-unreadable']);
    const none = await mesh(['status', '--json', '--home', laptop.home]);
    expect([none.status, codeOf(none)]).toEqual([3, 'store-no-secret']);
    await writeFile(at('open'), randomBytes(32));
    await chmod(at('open'), 0o644);
    const open = await mesh(['status', ...as({ ...laptop, keyFile: at('open') })]);
    expect([open.status, codeOf(open)]).toEqual([3, 'store-secret-exposed']);
  });

  it('tells of targets that are not there, that are many, and that are this device', async () => {
    const names = ["Alice's laptop", 'the Pi', 'the Pi'];
    const [laptop, first, second] = await makeMesh({ count: 3, dir: base, names });
    if (laptop === undefined) throw new Error('three were asked for');
    const unknown = await mesh(['send', 'nobody', 'hi', ...as(laptop)]);
    expect([unknown.status, codeOf(unknown)]).toEqual([4, 'device-unknown']);
    const ambiguous = await mesh(['send', 'the Pi', 'hi', ...as(laptop)]);
    expect([ambiguous.status, codeOf(ambiguous)]).toEqual([4, 'device-ambiguous']);
    for (const one of [first, second]) expect(ambiguous.events.at(-1)?.message).toContain(one?.deviceId);
    const self = await mesh(['send', laptop.deviceId, 'hi', ...as(laptop)]);
    expect([self.status, codeOf(self)]).toEqual([4, 'device-self']);
    const cancelled = await mesh(['cancel', 'no such id', ...as(laptop)]);
    expect([cancelled.status, codeOf(cancelled)]).toEqual([4, 'message-unknown']);
  });
});

describe('without a broker', () => {
  it('a message is accepted, shown, and can be cancelled; only waiting for more fails', async () => {
    const [laptop, phone] = await pair();
    const sent = await mesh(['send', phone.deviceId.slice(0, 8), 'hi', '--id', 'greeting', ...as(laptop)]);
    expect(sent.status).toBe(0);
    expect(deliveries(sent.events[0])).toEqual([{ deviceId: phone.deviceId, state: 'accepted' }]);
    const again = await mesh(['send', phone.name, 'hi', '--id', 'greeting', ...as(laptop)]);
    expect(again.events[0]?.id).toBe(sent.events[0]?.id);
    const outbox = await mesh(['outbox', ...as(laptop)]);
    expect(outbox.events).toHaveLength(1);
    const asked = await mesh(['send', phone.name, 'hi', '--wait', 'published', ...as(laptop)]);
    expect([asked.status, codeOf(asked)]).toEqual([2, 'broker-url-missing']);
    const cancelled = await mesh(['cancel', 'greeting', ...as(laptop)]);
    expect(deliveries(cancelled.events[0])).toMatchObject([{ state: 'cancelled' }]);
    expect((await mesh(['outbox', ...as(laptop)])).events).toHaveLength(1);
  });

  it('one that does not answer is out of time, and what was accepted stays accepted', async () => {
    const [laptop, phone] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const args = ['--wait', 'published', '--timeout', '300ms'];
    const sent = await mesh(['send', phone.name, 'hi', ...args, ...as(laptop)]);
    expect([sent.status, codeOf(sent)]).toEqual([6, 'delivery-open']);
    expect((await mesh(['outbox', ...as(laptop)])).events).toHaveLength(1);
  });

  it('a payload of 64 KiB is accepted and one byte more is not', async () => {
    const [laptop, phone] = await pair();
    const most = await mesh(['send', phone.name, ...as(laptop)], { input: randomBytes(65_536) });
    expect(most.status).toBe(0);
    const more = await mesh(['send', phone.name, '-', ...as(laptop)], { input: randomBytes(65_537) });
    expect([more.status, codeOf(more)]).toEqual([2, 'payload-too-large']);
    expect((await mesh(['outbox', ...as(laptop)])).events).toHaveLength(1);
  });
});

describe('settings and unlock slots', () => {
  it('are set, shown and forgotten, but a password is never shown', async () => {
    const [laptop] = await pair();
    const set = await mesh(['config', 'set', 'broker-password', '-', ...as(laptop)], { input: 'hunter2\n' });
    expect(set.status).toBe(0);
    const all = await mesh(['config', 'get', ...as(laptop)]);
    expect(set.stdout + all.stdout).not.toContain('hunter2');
    expect(all.events.find((one) => one.key === 'broker-password')).toMatchObject({
      value: null,
      isSet: true,
    });
    const unknown = await mesh(['config', 'set', 'colour', 'red', ...as(laptop)]);
    expect([unknown.status, codeOf(unknown)]).toEqual([2, 'setting-unknown']);
    const bad = await mesh(['config', 'set', 'broker', 'http://x', ...as(laptop)]);
    expect([bad.status, codeOf(bad)]).toEqual([2, 'broker-url-invalid']);
    const unset = await mesh(['config', 'unset', 'broker-password', ...as(laptop)]);
    expect(unset.events).toEqual([{ key: 'broker-password', value: null, isSet: false }]);
  });

  it('let a second key file in, and the first one out', async () => {
    const [laptop] = await pair();
    const second = { ...laptop, keyFile: at('second') };
    const added = await mesh(['key', 'add', 'key-file', second.keyFile, ...as(laptop)]);
    expect(added.events).toEqual([{ number: 2, kind: 'key-file' }]);
    expect((await mesh(['key', 'remove', '1', ...as(second)])).status).toBe(0);
    const former = await mesh(['key', 'list', ...as(laptop)]);
    expect([former.status, codeOf(former)]).toEqual([3, 'store-wrong-secret']);
    const last = await mesh(['key', 'remove', '2', ...as(second)]);
    expect([last.status, codeOf(last)]).toEqual([3, 'slot-last']);
  });
});

describe('the daemon', () => {
  it('is there once for a home, serves its commands without a secret, and stops within two seconds', async () => {
    const [laptop] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    expect(await daemon.saw('ready')).toMatchObject({ deviceId: laptop.deviceId, members: 2 });
    await daemon.saw('disconnected');
    const status = await mesh(['status', '--json', '--home', laptop.home]);
    expect(status.events[0]).toMatchObject({ host: 'daemon', pid: daemon.child.pid });
    expect((await stat(join(laptop.home, 'socket'))).mode & 0o777).toBe(0o600);
    const second = await mesh(['up', ...as(laptop)]);
    expect([second.status, codeOf(second)]).toEqual([3, 'daemon-running']);
    const began = performance.now();
    expect((await daemon.stop()).status).toBe(0);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(existsSync(join(laptop.home, 'socket'))).toBe(false);
  });

  it('answers a pipe into its socket that sends one line and no more', async () => {
    const [laptop, phone] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('ready');
    const socket = connect({ path: join(laptop.home, 'socket'), allowHalfOpen: true });
    const params = { target: phone.name, text: 'hello' };
    socket.end(`${JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'send', params })}\n`);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(JSON.parse(answer)).toMatchObject({ id: 7, result: { standing: 'reached' } });
  });

  it('that is stuck keeps nobody waiting for ever', async () => {
    const [laptop] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('ready');
    daemon.child.kill('SIGSTOP');
    const status = await mesh(['status', ...as(laptop)]);
    expect([status.status, codeOf(status)]).toEqual([3, 'daemon-silent']);
    const second = await mesh(['up', ...as(laptop)]);
    expect([second.status, codeOf(second)]).toEqual([3, 'daemon-silent']);
  });

  it('without a broker is a mistake, and leaves the store free', async () => {
    const [laptop] = await pair();
    const ended = await mesh(['up', ...as(laptop)]);
    expect([ended.status, codeOf(ended)]).toEqual([2, 'broker-url-missing']);
    expect(ended.events).toHaveLength(1);
    expect(existsSync(join(laptop.home, 'lock'))).toBe(false);
  });

  it('is found again after it was killed, in a home whose path is too long for a socket', async () => {
    const dir = join(base, 'd'.repeat(100));
    await mkdir(dir);
    const [laptop] = await makeMesh({ count: 1, dir, brokerUrl: `mqtt://127.0.0.1:${await freePort()}` });
    if (laptop === undefined) throw new Error('one was asked for');
    for (let life = 0; life < 2; life++) {
      const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
      await daemon.saw('ready');
      const status = await mesh(['status', '--json', '--home', laptop.home]);
      expect(status.events[0]).toMatchObject({ pid: daemon.child.pid });
      await daemon.stop('SIGKILL');
    }
    expect((await mesh(['status', ...as(laptop)])).events[0]).toMatchObject({ host: 'one-shot' });
  });

  it('takes the store over from a listener that had it, and both go on', async () => {
    const [laptop] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const listener = kept(new MeshProcess(['listen', '--timeout', '30s', '--count', '1', ...as(laptop)]));
    let found: Ended | undefined;
    for (let tries = 0; tries < 100 && found?.events[0]?.pid !== listener.child.pid; tries++) {
      found = await mesh(['status', '--json', '--home', laptop.home]);
    }
    expect(found?.events[0]).toMatchObject({ host: 'one-shot', pid: listener.child.pid });
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('ready');
    for (let tries = 0; tries < 50; tries++) {
      const { events } = await mesh(['status', '--json', '--home', laptop.home]);
      if (Array.isArray(events[0]?.readers) && events[0].readers.length === 1) return;
    }
    throw new Error(`the listener did not come back: ${listener.stderr}`);
  });
});

describe.skipIf(!hasMosquitto)('through a real broker', () => {
  let broker: Mosquitto;
  beforeAll(async () => {
    broker = await startMosquitto();
  });
  afterAll(() => broker.stop());

  it('a message goes from one daemon to the other, bytes kept exactly', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(laptop));
    kept(await up(phone));
    const payload = randomBytes(5000);
    const args = ['--thread', 'photos', '--type', 'image/png', '--wait', 'delivered', '--timeout', '20s'];
    const sent = await mesh(['send', phone.name, '-', ...args, ...as(laptop)], { input: payload });
    expect(sent.status, sent.stdout + sent.stderr).toBe(0);
    expect(deliveries(sent.events[0])).toEqual([{ deviceId: phone.deviceId, state: 'delivered' }]);
    const got = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(phone)]);
    expect(got.status).toBe(0);
    expect(got.events).toHaveLength(1);
    const [message] = got.events;
    expect(message).toMatchObject({
      event: 'message',
      id: sent.events[0]?.id,
      from: laptop.deviceId,
      fromName: laptop.name,
      group: null,
      thread: 'photos',
      type: 'image/png',
      seq: 1,
    });
    expect(Buffer.from(String(message?.data), 'base64').equals(payload)).toBe(true);
  });

  it('neither needs a daemon, and each reader goes on where it ended', async () => {
    const [laptop, phone] = await pair(broker.url);
    // They have to have met once: as long as two devices share no session, nothing can be encrypted.
    await Promise.all([laptop, phone].map((one) => mesh(['listen', '--timeout', '4s', ...as(one)])));
    for (const text of ['one', 'two', '']) {
      const sent = await mesh(['send', phone.deviceId, text, ...as(laptop)]);
      expect(sent.status, sent.stderr).toBe(0);
      expect(deliveries(sent.events[0])).toMatchObject([{ state: 'published' }]);
    }
    const first = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(phone)]);
    expect(first.events).toMatchObject([{ text: 'one' }]);
    const peeked = await mesh(['listen', '--count', '2', '--peek', '--timeout', '20s', ...as(phone)]);
    expect(peeked.events).toMatchObject([{ text: 'two' }, { text: '' }]);
    const rest = await mesh(['listen', '--count', '2', '--timeout', '20s', ...as(phone)]);
    expect(rest.events).toMatchObject([{ text: 'two' }, { text: '' }]);
    const other = await mesh(['listen', '--cursor', 'b', '--count', '3', '--timeout', '9s', ...as(phone)]);
    expect(other.events.map((one) => one.text)).toEqual(['one', 'two', '']);
    const nothing = await mesh(['listen', '--count', '1', '--timeout', '300ms', ...as(phone)]);
    expect([nothing.status, codeOf(nothing)]).toEqual([6, 'listen-timeout']);
  });

  it('twenty at once without a daemon all succeed, and each arrives once', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(phone));
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => mesh(['send', phone.name, `message ${i}`, ...as(laptop)])),
    );
    expect(all.map((one) => one.status)).toEqual(all.map(() => 0));
    kept(await up(laptop));
    const got = await mesh(['listen', '--count', '20', '--timeout', '30s', ...as(phone)]);
    expect(got.status, got.stdout).toBe(0);
    const texts = got.events.map((one) => String(one.text));
    expect(texts.sort()).toEqual(Array.from({ length: 20 }, (_, i) => `message ${i}`).sort());
  });

  it('a command that fails is run again for the same message, and no other is skipped', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(laptop));
    kept(await up(phone));
    for (const text of ['one', 'two']) await mesh(['send', phone.name, text, ...as(laptop)]);
    const log = at('log');
    const script = `read -r line; echo "$line $MESH_FROM" >> ${log}; [ -e ${log}.ok ] || { touch ${log}.ok; exit 7; }`;
    const ran = await mesh(['listen', '--count', '2', '--exec', script, '--timeout', '20s', ...as(phone)]);
    expect(ran.status, ran.stderr).toBe(0);
    expect(ran.events.map((one) => one.text)).toEqual(['one', 'two']);
    expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual(
      ['one', 'one', 'two'].map((text) => `${text} ${laptop.deviceId}`),
    );
  });

  it('a reader that is killed loses none, and sees none twice but the one in its hands', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(laptop));
    kept(await up(phone));
    const texts = Array.from({ length: 120 }, (_, i) => `message ${i}`);
    const socket = await connectSocket(laptop.home);
    if (socket === undefined) throw new Error('nobody serves the laptop');
    const client = createRpcClient(socket);
    for (const text of texts) await client.call('send', { target: phone.name, text });
    client.close();
    const lives: string[][] = [];
    for (let life = 0; lives.flat().at(-1) !== texts.at(-1) && life < 100; life++) {
      const reader = kept(new MeshProcess(['listen', '--count', '120', ...as(phone)]));
      await reader.saw('message');
      // At some other point of its work each time.
      await new Promise((resolve) => setTimeout(resolve, life % 7));
      const { events } = await reader.stop('SIGKILL');
      lives.push(events.map((one) => String(one.text)));
    }
    expect(lives.length).toBeGreaterThan(2);
    const seen: string[] = [];
    for (const life of lives) {
      if (life[0] === seen.at(-1)) life.shift();
      seen.push(...life);
    }
    expect(seen).toEqual(texts);
  });

  it('a cursor has one reader', async () => {
    const [laptop, phone] = await pair(broker.url);
    kept(await up(phone));
    const first = kept(new MeshProcess(['listen', '--cursor', 'x', ...as(phone)]));
    for (let tries = 0; tries < 50; tries++) {
      const { events } = await mesh(['status', ...as(phone)]);
      if (Array.isArray(events[0]?.readers) && events[0].readers.length === 1) break;
    }
    const second = await mesh(['listen', '--cursor', 'x', ...as(phone)]);
    expect([second.status, codeOf(second)]).toEqual([1, 'cursor-in-use']);
    expect((await first.stop('SIGINT')).status).toBe(0);
    expect(laptop.deviceId).not.toBe(phone.deviceId);
  });

  it('a change of the broker takes effect without a restart', async () => {
    const [laptop] = await pair(`mqtt://127.0.0.1:${await freePort()}`);
    const daemon = kept(new MeshProcess(['up', ...as(laptop)]));
    await daemon.saw('disconnected');
    const set = await mesh(['config', 'set', 'broker', broker.url, ...as(laptop)]);
    expect(set.status).toBe(0);
    expect(await daemon.saw('connected')).toMatchObject({ broker: broker.url });
  });
});

describe.skipIf(!hasMosquitto)('a broker that will not have us', () => {
  it('ends the daemon, and a command that waits for it, with 5', async () => {
    const strict = await startMosquitto({ logins: { alice: 'right' } });
    try {
      const [laptop, phone] = await makeMesh({
        count: 2,
        dir: base,
        brokerUrl: strict.url,
        login: { user: 'alice', password: 'hunter2' },
      });
      if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
      const daemon = await mesh(['up', ...as(laptop)]);
      expect(daemon.status).toBe(5);
      expect(codeOf(daemon)).toMatch(/^broker-(not-authorised|refused-login)$/);
      const args = ['--wait', 'published', '--timeout', '20s'];
      const sent = await mesh(['send', phone.name, 'hi', ...args, ...as(laptop)]);
      expect(sent.status).toBe(5);
      const patient = await mesh(['send', phone.name, 'hi', ...as(laptop)]);
      expect(patient.status).toBe(0);
      expect(JSON.stringify([daemon, sent, patient])).not.toContain('hunter2');
    } finally {
      await strict.stop();
    }
  });
});

describe('the embedded broker', () => {
  it('serves the daemon that runs it and its siblings', async () => {
    const port = await freePort();
    const [laptop, phone] = await makeMesh({ count: 2, dir: base, embeddedPort: port });
    if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
    kept(await up(laptop, '--embedded-broker', `127.0.0.1:${port}`));
    kept(await up(phone));
    const args = ['--wait', 'delivered', '--timeout', '20s'];
    const sent = await mesh(['send', phone.name, 'hello', ...args, ...as(laptop)]);
    expect(sent.status, sent.stdout + sent.stderr).toBe(0);
    const got = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(phone)]);
    expect(got.events).toMatchObject([{ text: 'hello' }]);
  });
});
