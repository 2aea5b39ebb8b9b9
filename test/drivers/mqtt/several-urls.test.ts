/** Several URLs are the servers of one cluster, of which some are dead, dying or cut off from the others. */
import { afterEach, describe, expect, it } from 'vitest';
import type { KnownVersions, Limits } from '../../../src/drivers/mqtt/settings.ts';
import {
  type Caller,
  type FakeBroker,
  type FakePacket,
  SUBSCRIBE,
  startFakeBroker,
  welcome,
} from '../../brokers/fake-broker.ts';
import { eventually } from '../../brokers/loopback.ts';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../../brokers/mosquitto.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const LAPTOP = device(1);
const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function fake(answer: (caller: Caller, packet: FakePacket) => void): Promise<FakeBroker> {
  const broker = await startFakeBroker(answer);
  ending.push(() => broker.stop());
  return broker;
}

function join(urls: readonly string[], limits: Partial<Limits> = {}): Witness {
  const versions: KnownVersions = new Map(urls.map((url) => [url, 4]));
  const transport = meshClient(urls, LAPTOP, { limits }, versions);
  ending.push(() => transport.close());
  const saw = new Witness();
  transport.open(saw);
  return saw;
}

const codes = (saw: Witness): string[] => saw.failures.map(({ error }) => error.code);

/** Lets the first so many in, and hangs up on them. */
const dyingFor =
  (lives: number) =>
  (caller: Caller, packet: FakePacket): void => {
    welcome(caller, packet);
    if (packet.type === SUBSCRIBE && caller.number <= lives) caller.hangUp();
  };

describe('a cluster that hangs up on everybody while it elects', () => {
  it('is not taken for a broker that will not have us; each server is asked in turn', async () => {
    const first = await fake(dyingFor(2));
    const second = await fake(dyingFor(2));
    const saw = join([first.url, second.url]);
    await saw.connectedTimes(5);
    const [one, other] = [first.url, second.url];
    expect(saw.connections.map(({ broker }) => broker)).toEqual([one, other, one, other, one]);
    expect(codes(saw)).not.toContain('broker-keeps-closing');
  });

  it('and goes on with it for ever is', async () => {
    const brokers = [await fake(dyingFor(99)), await fake(dyingFor(99))];
    const urls = brokers.map(({ url }) => url);
    const saw = join(urls, { refusedPause: 60_000 });
    await eventually(() => codes(saw).includes('broker-keeps-closing'), 'it has understood');
    expect(brokers.map(({ calls }) => calls.length)).toEqual([3, 3]);
  });
});

describe.skipIf(!hasMosquitto)(`one broker${hasMosquitto ? '' : ` (${withoutMosquitto})`}`, () => {
  it('that is killed again and again was down in between, so it has not sent us away', async () => {
    const broker = await startMosquitto();
    ending.push(() => broker.stop());
    const saw = join([broker.url]);
    for (let life = 1; life <= 4; life++) {
      await saw.connectedTimes(life);
      await broker.kill();
      await saw.failed(2 * life);
      await broker.restart();
    }
    await saw.connectedTimes(5);
    expect(new Set(codes(saw))).toEqual(new Set(['broker-lost', 'broker-unreachable']));
  });
});

describe('a server that takes calls and says nothing', () => {
  it('does not keep us from the next one for long', async () => {
    const silent = await fake(() => undefined);
    const healthy = await fake(welcome);
    const began = performance.now();
    const saw = join([silent.url, healthy.url], { connect: 20_000, versionAnswer: 50 });
    await saw.connectedTimes(1);
    expect(saw.connections[0]?.broker).toBe(healthy.url);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('gets all the time that a single one has, where none of them is quick', async () => {
    const slow = (caller: Caller, packet: FakePacket): void => {
      setTimeout(() => welcome(caller, packet), 400);
    };
    const brokers = [await fake(slow), await fake(slow)];
    const saw = join(
      brokers.map(({ url }) => url),
      { connect: 5000, versionAnswer: 50 },
    );
    await saw.connectedTimes(1);
    // The one that said nothing to 3.1.1 may have become one that speaks 5.
    expect(brokers.map(({ calls }) => calls)).toEqual([[4, 5, 4], [4]]);
  });
});
