import { connect as connectRaw, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import type { MqttTransport } from '../../../src/drivers/mqtt/mqtt-transport.ts';
import type { KnownVersions, MqttSettings } from '../../../src/drivers/mqtt/settings.ts';
import { eventually, freePort } from '../../brokers/loopback.ts';
import {
  hasMosquitto,
  type Mosquitto,
  type MosquittoSettings,
  startMosquitto,
  withoutMosquitto,
} from '../../brokers/mosquitto.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const LAPTOP = device(1);
const PHONE = device(2);

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function mosquitto(settings: MosquittoSettings = {}): Promise<Mosquitto> {
  const broker = await startMosquitto(settings);
  ending.push(() => broker.stop());
  return broker;
}

/** Somebody at the same broker who keeps to no rules of ours. */
async function mallory(url: string): Promise<MqttClient> {
  const client = connectRaw(url, { reconnectPeriod: 0 });
  ending.push(() => client.endAsync(true));
  await new Promise<void>((resolve) => client.once('connect', () => resolve()));
  return client;
}

async function join(
  url: string | readonly string[],
  settings: Partial<MqttSettings> = {},
  versions?: KnownVersions,
): Promise<{ transport: MqttTransport; saw: Witness }> {
  const transport = meshClient(url, LAPTOP, settings, versions);
  ending.push(() => transport.close());
  const saw = new Witness();
  transport.open(saw);
  await saw.connectedTimes(1);
  return { transport, saw };
}

describe.skipIf(!hasMosquitto)(`a device at Mosquitto${hasMosquitto ? '' : ` (${withoutMosquitto})`}`, () => {
  for (const version of [4, 5] as const) {
    it(`with MQTT ${version} takes no packet that somebody left at the broker`, async () => {
      const { url } = await mosquitto();
      const stranger = await mallory(url);
      await stranger.publishAsync(`/mesh/${LAPTOP}`, 'old news', { qos: 1, retain: true });
      const { transport, saw } = await join(url, {}, new Map([[url, version]]));
      await stranger.publishAsync(`/mesh/${LAPTOP}`, 'news', { qos: 1 });
      await saw.has(1);
      expect(saw.packets).toEqual([new TextEncoder().encode('news')]);
      // MQTT 5 lets us ask not to be sent such packets at all.
      expect(transport.status().discardedRetained).toBe(version === 5 ? 0 : 1);
    });

    it(`with MQTT ${version} leaves nothing at the broker for people who come later`, async () => {
      const { url } = await mosquitto();
      const { transport } = await join(url, {}, new Map([[url, version]]));
      for (const to of [LAPTOP, PHONE]) await transport.publish(to, Uint8Array.of(1));
      const stranger = await mallory(url);
      const seen: boolean[] = [];
      stranger.on('message', (_topic, _payload, { retain }) => seen.push(retain));
      await stranger.subscribeAsync('#', { qos: 1 });
      await transport.publish(PHONE, Uint8Array.of(2));
      await eventually(() => seen.length > 0, 'the live packet');
      expect(seen).toEqual([false]);
    });

    it(`with MQTT ${version} survives a packet above its limit, which does not come back`, async () => {
      const { url } = await mosquitto();
      const limits = { packetBytes: 10_000 };
      const settings = { clientId: 'laptop', limits };
      const { transport, saw } = await join(url, settings, new Map([[url, version]]));
      const stranger = await mallory(url);
      await stranger.publishAsync(`/mesh/${LAPTOP}`, Buffer.alloc(200_000), { qos: 1 });
      await stranger.publishAsync(`/mesh/${LAPTOP}`, 'small', { qos: 1 });
      await eventually(() => Buffer.from(saw.packets.at(-1) ?? []).toString() === 'small', 'the small one');
      // Mosquitto keeps it from us where MQTT 5 let us name our limit.
      expect(saw.packets.map(({ length }) => length)).toEqual(version === 5 ? [5] : [0, 5]);
      expect(transport.status().hollowedOut).toBe(version === 5 ? 0 : 1);
      expect(saw.failures).toEqual([]);
      await transport.close();
      const { saw: again, transport: next } = await join(url, settings, new Map([[url, version]]));
      await next.publish(LAPTOP, Uint8Array.of(1));
      await again.has(1);
      expect(again.packets).toEqual([Uint8Array.of(1)]);
    });
  }

  it('answers `too-large` where the broker names its limit, before or after', async () => {
    const named = await mosquitto({ extra: ['max_packet_size 2000'] });
    const first = await join(named.url);
    expect(await first.transport.publish(LAPTOP, new Uint8Array(2000))).toBe('too-large');
    expect(await first.transport.publish(LAPTOP, new Uint8Array(1900))).toBe('taken');
  });

  it('comes back after an answer that is not MQTT, which Mosquitto gives above its `message_size_limit`', async () => {
    const { url } = await mosquitto({ extra: ['message_size_limit 2000'] });
    const { transport, saw } = await join(url);
    expect(await transport.publish(LAPTOP, new Uint8Array(2001))).toBe('offline');
    await saw.connectedTimes(2);
    expect(saw.failures[0]?.error.code).toBe('broker-protocol');
    expect(await transport.publish(LAPTOP, new Uint8Array(2000))).toBe('taken');
  });

  for (const version of [4, 5] as const) {
    it(`and a copy of it with MQTT ${version} do not fight on, though Mosquitto has no word for it`, async () => {
      const { url } = await mosquitto();
      const settings = { clientId: 'laptop', limits: { refusedPause: 60_000 } };
      const { saw } = await join(url, settings, new Map([[url, version]]));
      const copy = await join(url, settings, new Map([[url, version]]));
      const stopped = (witness: Witness): boolean => witness.failures.some(({ permanent }) => permanent);
      await eventually(() => stopped(saw) || stopped(copy.saw), 'one of them stops');
      const loser = [saw, copy.saw].find(stopped);
      expect(loser?.failures.at(-1)?.error.code).toBe('broker-keeps-closing');
      expect(saw.connections.length + copy.saw.connections.length).toBeLessThan(10);
    });
  }

  it('notices a broker that froze, by its missing sign of life', async () => {
    const broker = await mosquitto();
    const limits = { keepaliveSeconds: 1, connect: 200, versionAnswer: 100 };
    const { transport, saw } = await join(broker.url, { limits });
    broker.freeze();
    const answer = transport.publish(PHONE, Uint8Array.of(1));
    await saw.failed(1);
    expect(saw.failures[0]?.error.code).toBe('broker-silent');
    expect(await answer).toBe('offline');
    broker.thaw();
    await saw.connectedTimes(2);
  });

  it('tries the URLs in their order, and begins with the first again', async () => {
    const broker = await mosquitto();
    const dead = `mqtt://127.0.0.1:${await freePort()}`;
    const { saw } = await join([dead, broker.url]);
    expect(saw.connections[0]?.broker).toBe(broker.url);
    expect(saw.failures).toEqual([]);
    const second = await mosquitto();
    const both = await join([second.url, broker.url]);
    expect(both.saw.connections[0]?.broker).toBe(second.url);
    await second.kill();
    await both.saw.connectedTimes(2);
    expect(both.saw.connections[1]?.broker).toBe(broker.url);
    await second.restart();
    await broker.kill();
    await both.saw.connectedTimes(3);
    expect(both.saw.connections[2]?.broker).toBe(second.url);
  });

  it('leaves no handle behind after 200 connections', async () => {
    const { url } = await mosquitto();
    const stranger = await mallory(url);
    const settings = { clientId: 'laptop', limits: { firstPause: 0, longestPause: 0, refusedPause: 0 } };
    const { transport, saw } = await join(url, settings);
    const count = (): number => process.getActiveResourcesInfo().length;
    let early = 0;
    for (let n = 1; n <= 200; n++) {
      // A clean session under the same id throws the transport out and goes away again.
      const rival = connectRaw(url, {
        clientId: 'laptop',
        clean: true,
        protocolVersion: 4,
        reconnectPeriod: 0,
      });
      await new Promise<void>((resolve) => rival.once('close', () => resolve()));
      await saw.connectedTimes(n + 1);
      if (n === 20) early = count();
    }
    await eventually(() => count() <= early + 2, 'as few handles as in the beginning');
    expect(process.listenerCount('warning')).toBeLessThan(5);
    await transport.close();
    await stranger.endAsync(true);
  });
});
