/**
 * Others at a real broker that lets everybody do everything: they leave packets behind, have the broker speak for
 * them when they are gone, and connect as somebody else.
 */
import { rm } from 'node:fs/promises';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKeystore } from '../../src/drivers/node/open-keystore.ts';
import { readKeyFile } from '../../src/drivers/node/unlock.ts';
import { CLIENT_ID } from '../../src/usecases/settings.ts';
import { olderVersionOnly } from '../brokers/kinds/version-relay.ts';
import { eventually } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Event, type MeshProcess, mesh, up } from './mesh-process.ts';

const VERSIONS = [5, 4] as const;
const nameOf = (version: (typeof VERSIONS)[number]): string => (version === 5 ? '5' : '3.1.1');

let base: string;
let broker: Mosquitto;
let ending: (() => Promise<unknown>)[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  for (const end of ending.reverse()) await end();
  ending = [];
  await rm(base, { recursive: true, force: true });
});

async function pair(version: 4 | 5): Promise<readonly [laptop: MeshDevice, phone: MeshDevice]> {
  broker = await startMosquitto();
  ending.push(() => broker.stop());
  let brokerUrl = broker.url;
  if (version === 4) {
    const relay = await olderVersionOnly(broker.port);
    ending.push(() => relay.stop());
    brokerUrl = relay.url;
  }
  const [laptop, phone] = await makeMesh({ count: 2, dir: base, brokerUrl });
  if (laptop === undefined || phone === undefined) throw new Error('two were asked for');
  return [laptop, phone];
}

async function daemonOf(device: MeshDevice): Promise<MeshProcess> {
  const daemon = await up(device);
  ending.push(() => daemon.stop('SIGKILL'));
  return daemon;
}

/** Mallory has a login like everybody else, and keeps to no rules. */
async function mallory(options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(broker.url, { reconnectPeriod: 0, ...options });
  client.on('error', () => undefined);
  ending.push(() => client.endAsync(true));
  return client;
}

async function send(from: MeshDevice, to: MeshDevice, text: string, wait = 'delivered'): Promise<void> {
  const limits = ['--wait', wait, '--timeout', '60s'];
  const sent = await mesh(['send', to.deviceId, text, ...limits, ...as(from)]);
  expect(sent.status, sent.stdout + sent.stderr).toBe(0);
}

async function texts(device: MeshDevice, count: number): Promise<unknown[]> {
  const heard = await mesh(['listen', '--peek', '--count', String(count), '--timeout', '60s', ...as(device)]);
  return heard.events.map(({ text }) => text);
}

async function statusOf(device: MeshDevice): Promise<Event> {
  const [status] = (await mesh(['status', ...as(device)])).events;
  if (status === undefined) throw new Error('a device without a status');
  return status;
}

/** All packets to a device from now on. */
async function onlooker(device: MeshDevice): Promise<readonly Buffer[]> {
  const seen: Buffer[] = [];
  const client = await mallory();
  client.on('message', (_topic, bytes) => seen.push(bytes));
  await client.subscribeAsync(`/mesh/${device.deviceId}`, { qos: 1 });
  return seen;
}

describe.skipIf(!hasMosquitto)(`at Mosquitto${hasMosquitto ? '' : ` (${withoutMosquitto})`}`, () => {
  it.each(VERSIONS.map((version) => [nameOf(version), version] as const))(
    'packets that were left on the inbox of a device, real ones or rubbish, are not taken: MQTT %s',
    { timeout: 240_000 },
    async (_name, version) => {
      const [laptop, phone] = await pair(version);
      const seen = await onlooker(phone);
      await daemonOf(laptop);
      const first = await daemonOf(phone);
      await send(laptop, phone, 'one');
      await first.stop();
      const captured = [...seen];
      expect(captured.length).toBeGreaterThan(2);
      // Sent while it is away, and never before: the broker has queued it as well.
      await send(laptop, phone, 'two', 'published');
      await eventually(() => seen.length > captured.length, 'the packet passes');
      const client = await mallory();
      const poison = [
        Buffer.from('rubbish'),
        Buffer.alloc(200_000, 7),
        captured[0],
        captured.at(-1),
        seen.at(-1),
      ];
      for (const packet of poison) {
        const left = packet ?? Buffer.alloc(0);
        await client.publishAsync(`/mesh/${phone.deviceId}`, left, { qos: 1, retain: true });
        // What came live, and was queued, is not what this is about.
        const queue = await daemonOf(phone);
        await send(laptop, phone, 'live');
        await queue.stop();
        const daemon = await daemonOf(phone);
        await send(laptop, phone, 'live');
        expect((await statusOf(phone)).refused).toEqual({});
        expect(daemon.events.map(({ event }) => event)).not.toContain('disconnected');
        await daemon.stop();
      }
      const live = poison.flatMap(() => ['live', 'live']);
      expect(await texts(phone, 2 + live.length)).toEqual(['one', 'two', ...live]);
    },
  );

  it('a will with a captured packet, or with rubbish, is one more copy or rubbish, and means nothing else', {
    timeout: 240_000,
  }, async () => {
    const [laptop, phone] = await pair(5);
    const seen = await onlooker(phone);
    await daemonOf(laptop);
    const daemon = await daemonOf(phone);
    await send(laptop, phone, 'one');
    const captured = seen.at(-1);
    if (captured === undefined) throw new Error('nothing passed');
    const topic = `/mesh/${phone.deviceId}`;
    const wills = [captured, Buffer.from('rubbish'), Buffer.from('offline'), Buffer.alloc(0)];
    const before = seen.length;
    for (const [i, payload] of wills.entries()) {
      const dying = await mallory({ will: { topic, payload, qos: 1, retain: i % 2 === 0 } });
      dying.stream.destroy();
      await eventually(() => seen.length > before + i, 'the broker speaks for the dead');
    }
    await eventually(async () => {
      const refused = (await statusOf(phone)).refused as Record<string, number>;
      return Object.values(refused).reduce((sum, count) => sum + count, 0) >= wills.length;
    }, 'all of them are refused');
    const { refused } = await statusOf(phone);
    expect(refused).toMatchObject({ replayed: 1 });
    expect(seen.length).toBe(before + wills.length);
    expect(daemon.events.map(({ event }) => event)).not.toContain('disconnected');
    await send(laptop, phone, 'two');
    expect(await texts(phone, 2)).toEqual(['one', 'two']);
    expect((await statusOf(phone)).refused).toEqual(refused);
  });

  it.each(VERSIONS.map((version) => [nameOf(version), version] as const))(
    'another client with the same client id is reported, and not fought: MQTT %s',
    { timeout: 240_000 },
    async (_name, version) => {
      const [laptop, phone] = await pair(version);
      const { keystore } = await openKeystore(phone.home, await readKeyFile(phone.keyFile));
      const clientId = await keystore.read('setting', CLIENT_ID);
      await keystore.close();
      expect(clientId).toMatch(/^[0-9a-f]+$/);
      await daemonOf(laptop);
      const daemon = await daemonOf(phone);
      await send(laptop, phone, 'one');
      // It comes back at once, however often it is sent away.
      const thief = await mallory({ clientId: clientId ?? '', clean: false, reconnectPeriod: 10 });
      let thrownOut = 0;
      thief.on('close', () => {
        thrownOut += 1;
      });
      const told = (): Event[] => daemon.events.filter(({ event }) => event === 'disconnected');
      await eventually(() => told().some(({ permanent }) => permanent === true), 'it is told', 60_000);
      // Only a broker that speaks MQTT 5 can say why, and not every one does.
      expect(['broker-taken-over', 'broker-keeps-closing']).toContain(told().at(-1)?.code);
      const rounds = thrownOut;
      expect(rounds).toBeLessThan(10);
      // Long enough for many attempts, were it to fight for its place.
      await new Promise((resolve) => setTimeout(resolve, 5000));
      expect(thrownOut).toBe(rounds);
      expect((await statusOf(phone)).broker).toMatchObject({ connected: false, permanent: true });
      // What was sent meanwhile went to the thief, who cannot read it; it comes again.
      await send(laptop, phone, 'two', 'published');
      await thief.endAsync(true);
      await daemon.stop();
      await daemonOf(phone);
      expect(await texts(phone, 2)).toEqual(['one', 'two']);
    },
  );
});
