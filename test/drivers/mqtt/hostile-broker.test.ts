import { afterEach, describe, expect, it } from 'vitest';
import { MqttTransport } from '../../../src/drivers/mqtt/mqtt-transport.ts';
import type { MqttSettings } from '../../../src/drivers/mqtt/settings.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import { Secret } from '../../../src/entities/secret.ts';
import {
  type Caller,
  CONNECT,
  type FakeBroker,
  type FakePacket,
  messageId,
  PUBACK,
  PUBLISH,
  SUBSCRIBE,
  startFakeBroker,
  welcome,
} from '../../brokers/fake-broker.ts';
import { eventually, realClock, realRandomness } from '../../brokers/loopback.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const LAPTOP = device(1);
const PHONE = device(2);

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function mallory(answer: (caller: Caller, packet: FakePacket) => void): Promise<FakeBroker> {
  const broker = await startFakeBroker(answer);
  ending.push(() => broker.stop());
  return broker;
}

async function join(
  { url }: FakeBroker,
  settings: Partial<MqttSettings> = {},
): Promise<{ transport: MqttTransport; saw: Witness }> {
  const transport = meshClient(url, LAPTOP, settings);
  ending.push(() => transport.close());
  const saw = new Witness();
  transport.open(saw);
  await saw.connectedTimes(1);
  return { transport, saw };
}

/** A PUBLISH of MQTT 5 with QoS 1, id 7 and one byte of payload. */
function publish(topic: string, flags = 0): number[] {
  const name = [...Buffer.from(topic)];
  return [0x32 | flags, name.length + 6, 0, name.length, ...name, 0, 7, 0, 0xaa];
}

describe('at Mallory’s broker, a device', () => {
  it('throws away and counts what comes from other topics or with the retain flag', async () => {
    const acknowledged: number[] = [];
    const broker = await mallory((caller, packet) => {
      welcome(caller, packet);
      if (packet.type === PUBACK) acknowledged.push(packet.body[1] ?? 0);
      if (packet.type !== SUBSCRIBE) return;
      caller.send(...publish(`/mesh/${PHONE}`), ...publish(`/mesh/${LAPTOP}`, 1), ...publish('$SYS/broker'));
      caller.send(...publish(`/mesh/${LAPTOP}/`), ...publish(`/mesh/${LAPTOP}`));
    });
    const { transport, saw } = await join(broker);
    await saw.has(1);
    await eventually(() => acknowledged.length === 5, 'all acknowledged');
    expect(saw.packets).toEqual([Uint8Array.of(0xaa)]);
    const status = transport.status();
    expect([status.discardedForeign, status.discardedRetained]).toEqual([3, 1]);
  });

  it('sends no more at a time than it is told, and loses none of the others', async () => {
    const open: FakePacket[] = [];
    let most = 0;
    let answered = 0;
    const broker = await mallory((caller, packet) => {
      // Receive maximum 3.
      welcome(caller, packet, [0x21, 0, 3]);
      if (packet.type !== PUBLISH) return;
      open.push(packet);
      most = Math.max(most, open.length);
      setImmediate(() => {
        const first = open.shift();
        if (first !== undefined) caller.send(0x40, 2, ...messageId(first));
        answered += 1;
      });
    });
    const { transport } = await join(broker);
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) => transport.publish(PHONE, Uint8Array.of(i))),
    );
    expect(outcomes).toEqual(new Array(40).fill('taken'));
    expect(most).toBe(3);
    expect(answered).toBe(40);
  });

  it('understands the reasons for not taking a packet', async () => {
    const reasons = [0x00, 0x10, 0x87, 0x90, 0x97, 0x80, 0x83];
    const broker = await mallory((caller, packet) => {
      welcome(caller, packet);
      if (packet.type === PUBLISH)
        caller.send(0x40, 4, ...messageId(packet), reasons[packet.body.at(-1) ?? 0] ?? 0, 0);
    });
    const { transport } = await join(broker);
    const outcomes: string[] = [];
    for (const [i] of reasons.entries()) outcomes.push(await transport.publish(PHONE, Uint8Array.of(i)));
    expect(outcomes).toEqual([
      'taken',
      'taken',
      'not-allowed',
      'not-allowed',
      'offline',
      'offline',
      'offline',
    ]);
  });

  it('does not wait for ever for an answer, nor for a packet that never ends', async () => {
    const broker = await mallory((caller, packet) => {
      welcome(caller, packet);
      if (packet.type === SUBSCRIBE) caller.send(0x32, 0xff, 0x7f, 0, 1);
    });
    const { transport, saw } = await join(broker, { limits: { publishAnswer: 50 } });
    expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
    await saw.failed(1);
    expect(saw.failures[0]?.error.code).toBe('broker-silent');
  });

  it('is never sent anything again that was on its way when the connection ended', async () => {
    const published: number[] = [];
    const broker = await mallory((caller, packet) => {
      welcome(caller, packet);
      if (packet.type !== PUBLISH) return;
      published.push(packet.body.at(-1) ?? 0);
      if (caller.number === 1) caller.hangUp();
      else caller.send(0x40, 2, ...messageId(packet));
    });
    const { transport, saw } = await join(broker);
    expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
    await saw.connectedTimes(2);
    expect(await transport.publish(PHONE, Uint8Array.of(2))).toBe('taken');
    expect(published).toEqual([1, 2]);
  });

  it('hangs up on a packet with QoS 2, which MQTT.js would keep, and says why', async () => {
    const broker = await mallory((caller, packet) => {
      welcome(caller, packet);
      const [, ...rest] = publish(`/mesh/${LAPTOP}`);
      if (packet.type === SUBSCRIBE && caller.number === 1) caller.send(0x34, ...rest);
    });
    const { saw } = await join(broker);
    await saw.failed(1);
    expect(saw.failures[0]?.error).toMatchObject({
      code: 'broker-protocol',
      data: { reason: 'a PUBLISH with QoS 2' },
    });
    expect(saw.failures[0]?.permanent).toBe(false);
    await saw.connectedTimes(2);
    expect(saw.packets).toEqual([]);
  });

  const farewells: readonly (readonly [number, string, boolean])[] = [
    [0x8e, 'broker-taken-over', true],
    [0x87, 'broker-not-authorised', true],
    [0x8b, 'broker-busy', false],
    [0x98, 'broker-busy', false],
    [0x93, 'broker-protocol', false],
    [0x00, 'broker-lost', false],
  ];
  for (const [reason, code, permanent] of farewells) {
    it(`takes a goodbye with reason ${reason.toString(16)} for ${code}`, async () => {
      const broker = await mallory((caller, packet) => {
        welcome(caller, packet);
        if (packet.type !== PUBLISH) return;
        caller.send(0xe0, 2, reason, 0);
        caller.hangUp();
      });
      const { transport, saw } = await join(broker, { limits: { refusedPause: 60_000 } });
      expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
      await saw.failed(1);
      expect(saw.failures[0]?.error.code).toBe(code);
      expect(saw.failures[0]?.permanent).toBe(permanent);
      if (!permanent) await saw.connectedTimes(2);
      else expect(saw.connections).toHaveLength(1);
    });
  }

  const junk: readonly (readonly [string, readonly number[]])[] = [
    ['a second CONNACK', [0x20, 3, 0, 0, 0]],
    ['a packet of no known type', [0x00, 0]],
    ['a topic that is cut', [0x32, 4, 0xff, 0xff, 0, 0]],
    ['an acknowledgement with an unknown reason', [0x40, 4, 0, 1, 0x7f, 0]],
    ['a demand to authenticate', [0xf0, 2, 0x18, 0]],
    ['a topic alias that nobody offered', [0x32, 9, 0, 0, 0, 7, 3, 0x23, 0, 1, 0xaa]],
    ['a length without an end', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['an enormous CONNACK', [0x20, 0xff, 0xff, 0xff, 0x7f, 0]],
  ];
  for (const [what, bytes] of junk) {
    it(`survives ${what}`, async () => {
      const broker = await mallory((caller, packet) => {
        welcome(caller, packet);
        if (packet.type === SUBSCRIBE && caller.number === 1) caller.send(...bytes);
        if (packet.type === PUBLISH) caller.send(0x40, 2, ...messageId(packet));
      });
      const { transport, saw } = await join(broker);
      await eventually(
        async () => (await transport.publish(PHONE, Uint8Array.of(1))) === 'taken',
        'works again',
      );
      expect(saw.packets).toEqual([]);
      expect(saw.failures.every(({ permanent }) => !permanent)).toBe(true);
    });
  }

  /** The pauses of a transport whose time passes a thousand times as fast, without its time limits. */
  const pausesAt = async (url: string, count: number): Promise<number[]> => {
    const limit = 1_000_000;
    const delays: number[] = [];
    const clock = {
      ...realClock,
      after(delay: number, call: () => void) {
        if (delay < limit / 2) delays.push(delay);
        return realClock.after(delay / 1000, call);
      },
    };
    const limits = { connect: limit, versionAnswer: limit, goodbye: limit, publishAnswer: limit };
    const transport = new MqttTransport(
      { urls: [url], clientId: 'laptop', device: LAPTOP, limits },
      { clock, randomness: realRandomness, versions: new Map() },
    );
    ending.push(() => transport.close());
    transport.open(new Witness());
    await eventually(() => delays.length >= count, `${count} pauses`);
    return delays.slice(0, count);
  };

  it('waits longer and longer for it, and never in step with others', async () => {
    const broker = await mallory((caller) => caller.hangUp());
    await broker.stop();
    const pauses = await pausesAt(broker.url, 9);
    for (const [i, pause] of pauses.entries()) {
      const whole = Math.min(60_000, 1000 * 2 ** i);
      expect(pause).toBeGreaterThanOrEqual(whole / 2);
      expect(pause).toBeLessThanOrEqual(whole);
    }
    expect(new Set(pauses).size).toBe(9);
  });

  it('asks again only every five minutes where its login is refused', async () => {
    const broker = await mallory((caller) => caller.send(0x20, 3, 0, 0x86, 0));
    expect(await pausesAt(broker.url, 2)).toEqual([300_000, 300_000]);
  });

  it('hears of our password only what it needs, once it was greeted', async () => {
    let greeting: Buffer = Buffer.alloc(0);
    const broker = await mallory((caller, packet) => {
      if (packet.type === CONNECT) greeting = packet.body;
      welcome(caller, packet);
    });
    await join(broker, { username: 'alice', password: new Secret(new TextEncoder().encode('secret')) });
    expect(greeting.includes('alice')).toBe(true);
    expect(greeting.includes('secret')).toBe(true);
    expect(greeting.includes(LAPTOP)).toBe(false);
  });
});

describe('settings that cannot work', () => {
  const cases: readonly (readonly [Partial<MqttSettings>, string])[] = [
    [{ urls: [] }, 'broker-url-missing'],
    [{ urls: ['http://127.0.0.1'] }, 'broker-url-invalid'],
    [{ urls: ['mqtt://alice:secret@127.0.0.1'] }, 'broker-url-has-login'],
    [{ password: new Secret(Uint8Array.of(1)) }, 'broker-login-incomplete'],
    [{ topicPrefix: 'mesh' }, 'broker-topic-prefix-invalid'],
    [{ topicPrefix: 'mesh/+/' }, 'broker-topic-prefix-invalid'],
    [{ topicPrefix: '$SYS/' }, 'broker-topic-prefix-invalid'],
    [{ ca: 'no certificate' }, 'broker-ca-invalid'],
  ];
  for (const [settings, code] of cases) {
    it(`are refused at once: ${code}`, () => {
      const make = (): unknown => meshClient('mqtt://127.0.0.1', LAPTOP, settings);
      expect(make).toThrow(MeshError);
      expect(make).toThrow(expect.objectContaining({ code, exit: 2 }));
    });
  }
});
