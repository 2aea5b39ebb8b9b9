import { afterEach, describe, expect, it } from 'vitest';
import type { KnownVersions } from '../../../src/drivers/mqtt/settings.ts';
import type { Transport } from '../../../src/usecases/ports/transport.ts';
import {
  type Caller,
  CONNECT,
  type FakeBroker,
  type FakePacket,
  startFakeBroker,
  welcome,
} from '../../brokers/fake-broker.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const LAPTOP = device(1);

describe('finding out which MQTT a broker speaks', () => {
  const ending: { close?(): Promise<void>; stop?(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of ending.splice(0).reverse()) await (one.close?.() ?? one.stop?.());
  });

  const fake = async (answer: (caller: Caller, packet: FakePacket) => void): Promise<FakeBroker> => {
    const broker = await startFakeBroker(answer);
    ending.push(broker);
    return broker;
  };
  const join = (url: string, versions: KnownVersions): { transport: Transport; saw: Witness } => {
    const transport = meshClient(url, LAPTOP, { limits: { versionAnswer: 50, connect: 1000 } }, versions);
    ending.push(transport);
    const saw = new Witness();
    transport.open(saw);
    return { transport, saw };
  };

  const refusals: readonly (readonly [string, (caller: Caller) => void])[] = [
    ['in the words of MQTT 5', (caller) => caller.send(0x20, 3, 0, 0x84, 0)],
    ['in the words of MQTT 3.1.1', (caller) => caller.send(0x20, 2, 0, 1)],
    ['in the words of MQTT 3.1.1, as a bad login', (caller) => caller.send(0x20, 2, 0, 5)],
    ['by hanging up', (caller) => caller.hangUp()],
    ['by saying nothing', () => undefined],
    ['with something that is no MQTT', (caller) => caller.send(0xf1, 0xff, 0xff, 0xff, 0xff)],
  ];
  for (const [how, refuse] of refusals) {
    it(`goes back to 3.1.1 where 5 is refused ${how}, and remembers it`, async () => {
      const broker = await fake((caller, packet) => {
        if (caller.version === 5) refuse(caller);
        else welcome(caller, packet);
      });
      const versions: KnownVersions = new Map();
      const first = join(broker.url, versions);
      await first.saw.connectedTimes(1);
      expect(first.saw.log).toEqual(['connected']);
      expect(broker.calls).toEqual([5, 4]);
      await join(broker.url, versions).saw.connectedTimes(1);
      expect(broker.calls).toEqual([5, 4, 4]);
    });
  }

  it('stays with 5 where it is taken', async () => {
    const broker = await fake(welcome);
    const versions: KnownVersions = new Map();
    await join(broker.url, versions).saw.connectedTimes(1);
    await join(broker.url, versions).saw.connectedTimes(1);
    expect(broker.calls).toEqual([5, 5]);
  });

  it('does not take a restart of a broker that speaks 5 for a refusal of it', async () => {
    const broker = await fake((caller, packet) => {
      if (caller.number === 2) caller.hangUp();
      else welcome(caller, packet);
    });
    const versions: KnownVersions = new Map();
    await join(broker.url, versions).saw.connectedTimes(1);
    const second = join(broker.url, versions);
    await second.saw.connectedTimes(1);
    expect(second.saw.failures.map(({ error }) => error.code)).toEqual(['broker-silent']);
    expect(broker.calls).toEqual([5, 5, 5]);
  });

  it('asks again for 5 where a broker that spoke 3.1.1 does not any more', async () => {
    let updated = false;
    const broker = await fake((caller, packet) => {
      const wanted = updated ? 5 : 4;
      if (caller.version === wanted) welcome(caller, packet);
      else caller.hangUp();
    });
    const versions: KnownVersions = new Map();
    await join(broker.url, versions).saw.connectedTimes(1);
    updated = true;
    await join(broker.url, versions).saw.connectedTimes(1);
    expect(broker.calls).toEqual([5, 4, 4, 5]);
  });

  it('does not ask in another version where the login is refused in the words of 5', async () => {
    const broker = await fake((caller) => caller.send(0x20, 3, 0, 0x86, 0));
    const { transport, saw } = join(broker.url, new Map());
    await saw.failed(1);
    await transport.close();
    expect(saw.failures[0]?.error.code).toBe('broker-refused-login');
    expect(saw.failures[0]?.permanent).toBe(true);
    expect(new Set(broker.calls)).toEqual(new Set([5]));
  });

  it('says that there is no common version where both are refused', async () => {
    const broker = await fake((caller) => caller.send(0x20, 2, 0, 1));
    const { saw } = join(broker.url, new Map());
    await saw.failed(1);
    expect(saw.failures[0]?.error.code).toBe('broker-no-common-version');
    expect(saw.failures[0]?.permanent).toBe(true);
    expect(broker.calls.slice(0, 2)).toEqual([5, 4]);
  });

  it('says `broker-silent` where nobody answers at all', async () => {
    const broker = await fake(() => undefined);
    const transport = meshClient(broker.url, LAPTOP, { limits: { versionAnswer: 20, connect: 60 } });
    ending.push(transport);
    const saw = new Witness();
    transport.open(saw);
    await saw.failed(1);
    expect(saw.failures[0]?.error.code).toBe('broker-silent');
    expect(saw.failures[0]?.permanent).toBe(false);
  });

  const connacks: readonly (readonly [readonly number[], string, boolean])[] = [
    [[0x20, 3, 0, 0x85, 0], 'broker-refused-client-id', true],
    [[0x20, 3, 0, 0x87, 0], 'broker-not-authorised', true],
    [[0x20, 3, 0, 0x88, 0], 'broker-busy', false],
    [[0x20, 3, 0, 0x97, 0], 'broker-busy', false],
    [[0x20, 3, 0, 0x8a, 0], 'broker-not-authorised', true],
    [[0x20, 3, 0, 0x80, 0], 'broker-protocol', false],
    // Maximum QoS 0.
    [[0x20, 5, 0, 0, 2, 0x24, 0], 'broker-without-qos', true],
  ];
  for (const [bytes, code, permanent] of connacks) {
    it(`reports ${bytes.map((byte) => byte.toString(16)).join(' ')} as ${code}, once`, async () => {
      const broker = await fake((caller, packet) => {
        if (caller.version === 5 && packet.type === CONNECT) caller.send(...bytes);
        else caller.hangUp();
      });
      const { transport, saw } = join(broker.url, new Map([[`mqtt://127.0.0.1:${broker.port}`, 5]]));
      await saw.failed(1);
      while (broker.calls.length < 4) await new Promise((resolve) => setImmediate(resolve));
      await transport.close();
      expect(saw.failures.map(({ error, permanent }) => [error.code, permanent])).toEqual([
        [code, permanent],
      ]);
      expect(saw.connections).toEqual([]);
    });
  }

  it('reports a subscription that is refused, or granted without QoS 1', async () => {
    for (const granted of [0x87, 0]) {
      const broker = await fake((caller, packet) => {
        if (packet.type === CONNECT) return welcome(caller, packet);
        caller.send(0x90, 4, packet.body[0] ?? 0, packet.body[1] ?? 0, 0, granted);
      });
      const { saw } = join(broker.url, new Map());
      await saw.failed(1);
      expect(saw.failures[0]?.error.code).toBe('broker-refused-subscription');
      expect(saw.failures[0]?.permanent).toBe(true);
      expect(saw.connections).toEqual([]);
    }
  });

  it('does not call a session resumed that may have been left without its subscription', async () => {
    const broker = await fake((caller, packet) => {
      if (packet.type === CONNECT) caller.send(0x20, 3, 1, 0, 0);
      else if (caller.number === 1) caller.hangUp();
      else welcome(caller, packet);
    });
    const { saw } = join(broker.url, new Map());
    await saw.connectedTimes(1);
    expect(saw.connections[0]?.resumed).toBe(false);
    const { saw: later } = join(broker.url, new Map());
    await later.connectedTimes(1);
    expect(later.connections[0]?.resumed).toBe(true);
  });
});
