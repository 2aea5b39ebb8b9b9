import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../brokers/loopback.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, type Event, MeshProcess, mesh, up } from './mesh-process.ts';

let base: string;
let port: number;
const running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'mesh-broker-'));
  port = await freePort();
});
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
  await rm(base, { recursive: true, force: true });
});

const kept = (process: MeshProcess): MeshProcess => {
  running.push(process);
  return process;
};

/** The laptop has the broker; the others have logins at it. */
async function family(count: number): Promise<[MeshDevice, MeshDevice, ...MeshDevice[]]> {
  const [laptop, phone, ...others] = await makeMesh({ count, dir: base, embeddedPort: port });
  if (laptop === undefined || phone === undefined) throw new Error('two or more are needed');
  return [laptop, phone, ...others];
}

const codeOf = ({ events }: Ended): unknown => events.at(-1)?.code;
const outcome = (ended: Ended): unknown[] => [ended.status, codeOf(ended)];

async function delivers(from: MeshDevice, to: MeshDevice, text: string): Promise<void> {
  const sent = await mesh([
    'send',
    to.deviceId,
    text,
    '--wait',
    'delivered',
    '--timeout',
    '30s',
    ...as(from),
  ]);
  expect(sent.status, sent.stdout + sent.stderr).toBe(0);
  const got = await mesh(['listen', '--count', '1', '--timeout', '20s', ...as(to)]);
  expect(got.events).toMatchObject([{ text }]);
}

async function set(device: MeshDevice, key: string, value: string): Promise<void> {
  const ended = await mesh(['config', 'set', key, value, ...as(device)]);
  expect(ended.status, ended.stdout + ended.stderr).toBe(0);
}

/** What the daemon says of its broker. */
async function announced(daemon: MeshProcess): Promise<Event> {
  const { embeddedBroker } = await daemon.saw('ready');
  return embeddedBroker as Event;
}

describe('a daemon with a broker for the network', () => {
  it('serves siblings that have its pin, which stays the same when it comes back', async () => {
    const [laptop, phone] = await family(2);
    const place = `0.0.0.0:${port}`;
    const first = kept(await up(laptop, '--embedded-broker', place));
    const said = await announced(first);
    expect(said).toMatchObject({ address: `mqtts://${place}`, tls: true });
    expect(said.pin).toMatch(/^[0-9a-f]{64}$/);
    await set(phone, 'broker', `mqtts://127.0.0.1:${port}`);
    await set(phone, 'broker-pin', String(said.pin));
    kept(await up(phone));
    await delivers(laptop, phone, 'through TLS');
    await first.stop();
    const second = kept(await up(laptop, '--embedded-broker', place));
    expect(await announced(second)).toEqual(said);
    await delivers(phone, laptop, 'still known');
    await set(phone, 'broker-pin', 'ab'.repeat(32));
    const status = await mesh(['status', ...as(phone)]);
    expect(JSON.stringify(status.events)).toContain('broker-pin-mismatch');
  });

  it('takes another topic prefix without a restart', async () => {
    const [laptop, phone] = await family(2);
    kept(await up(laptop, '--embedded-broker', `127.0.0.1:${port}`));
    kept(await up(phone));
    await delivers(laptop, phone, 'before');
    for (const device of [laptop, phone]) await set(device, 'topic-prefix', 'elsewhere/');
    await delivers(laptop, phone, 'after');
  });

  it('tells people where it listens, what an invite names, and how to keep it to this machine', async () => {
    const [laptop] = await family(2);
    const plainly = as(laptop).filter((word) => word !== '--json');
    const firstLine = async (...place: string[]): Promise<string> => {
      const daemon = new MeshProcess(['up', ...plainly, '--embedded-broker', ...place]);
      await new Promise((resolve) => daemon.child.stdout?.once('data', resolve));
      return (await daemon.stop()).stdout;
    };
    const open = await firstLine(`0.0.0.0:${port}`);
    expect(open).toContain(`embedded broker on mqtts://0.0.0.0:${port}, open to the network`);
    expect(open).toMatch(/an invite (?:will name mqtts:\/\/\S+:\d+|cannot name it)\. /);
    expect(open).toContain('"--embedded-broker 127.0.0.1:1883" keeps it to this machine');
    const closed = await firstLine(`127.0.0.1:${port}`);
    expect(closed).toContain(`embedded broker on mqtt://127.0.0.1:${port}, for this machine only`);
  });
});

describe('mesh broker', () => {
  it('serves the members without the device, until it is told to stop', async () => {
    const [laptop, phone, pi] = await family(3);
    if (pi === undefined) throw new Error('three were asked for');
    const broker = kept(new MeshProcess(['broker', `127.0.0.1:${port}`, ...as(laptop)]));
    const address = `mqtt://127.0.0.1:${port}`;
    expect(await broker.saw('listening')).toEqual({
      event: 'listening',
      address,
      invite: address,
      tls: false,
      pin: null,
    });
    kept(await up(phone));
    kept(await up(pi));
    await delivers(phone, pi, 'hello');
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const other = signal === 'SIGTERM' ? broker : new MeshProcess(['broker', '127.0.0.1:0', ...as(laptop)]);
      await other.saw('listening');
      expect(await other.stop(signal)).toMatchObject({ status: 0, stderr: '' });
    }
    const status = await mesh(['status', ...as(laptop)]);
    expect(status.status, status.stdout).toBe(0);
  });

  it('shows the pin of the certificate that the daemon has too', async () => {
    const [laptop] = await family(2);
    const daemon = await up(laptop, '--embedded-broker', `0.0.0.0:${port}`);
    const { pin } = await announced(daemon);
    await daemon.stop();
    const broker = kept(new MeshProcess(['broker', `0.0.0.0:${port}`, ...as(laptop)]));
    expect(await broker.saw('listening')).toMatchObject({
      tls: true,
      pin,
      address: `mqtts://0.0.0.0:${port}`,
    });
  });

  it('leaves a running daemon alone', async () => {
    const [laptop] = await family(2);
    const daemon = kept(await up(laptop, '--embedded-broker', `127.0.0.1:${port}`));
    expect(outcome(await mesh(['broker', '127.0.0.1:0', ...as(laptop)]))).toEqual([3, 'daemon-running']);
    expect(daemon.child.exitCode).toBeNull();
  });

  it('has the store to itself, and says so at once to whoever comes', async () => {
    const [laptop] = await family(2);
    const broker = kept(new MeshProcess(['broker', `127.0.0.1:${port}`, ...as(laptop)]));
    await broker.saw('listening');
    const began = performance.now();
    for (const words of [['up'], ['broker', '127.0.0.1:0'], ['status']]) {
      expect(outcome(await mesh([...words, ...as(laptop)])), words[0]).toEqual([3, 'broker-running']);
    }
    expect(performance.now() - began).toBeLessThan(9000);
  });

  it('says where it cannot listen', async () => {
    const [laptop] = await family(2);
    const broker = kept(new MeshProcess(['broker', `127.0.0.1:${port}`, ...as(laptop)]));
    await broker.saw('listening');
    const [other] = await makeMesh({ count: 2, dir: await mkdtemp(join(base, 'other-')) });
    if (other === undefined) throw new Error('two were asked for');
    const ended = await mesh(['broker', `127.0.0.1:${port}`, ...as(other)]);
    expect(outcome(ended)).toEqual([1, 'embedded-broker-cannot-listen']);
    expect(ended.events.at(-1)?.message).toContain(`127.0.0.1:${port} (EADDRINUSE)`);
  });
});

describe('an address for the embedded broker', () => {
  it.each(['a:b:c', '8883', 'host:99999', 'host:', ':1883', '[abc]:1', 'mqtt://host:1883'])(
    'cannot be %j',
    async (text) => {
      for (const words of [
        ['up', '--embedded-broker', text],
        ['broker', text],
      ]) {
        const ended = await mesh([...words, '--home', join(base, 'nowhere'), '--json']);
        expect(outcome(ended), words.join(' ')).toEqual([2, 'usage']);
      }
    },
  );
});
