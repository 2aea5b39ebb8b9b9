import { beforeEach, expect, test } from 'vitest';
import { type BrokerLine, createBrokerLine } from '../../src/adapters/broker-line.ts';
import { MeshError } from '../../src/entities/errors.ts';
import type { Transport, TransportEvents } from '../../src/usecases/ports/transport.ts';
import { device } from '../contracts/transport.ts';
import { HandClock, settled } from '../support/keystore.ts';

/** A transport that does what the test says. */
class Way implements Transport {
  readonly name: string;
  events: TransportEvents | undefined;
  closed = false;

  constructor(name: string) {
    this.name = name;
  }

  open(events: TransportEvents): void {
    this.events = events;
  }

  publish(): Promise<'taken'> {
    return Promise.resolve('taken');
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  connect(): void {
    this.events?.connected({ broker: this.name, resumed: false });
  }
}

let ways: Way[];
let failure: MeshError | undefined;
let line: BrokerLine;
let clock: HandClock;
let seen: string[];

beforeEach(() => {
  ways = [];
  failure = undefined;
  seen = [];
  clock = new HandClock();
  line = createBrokerLine({
    clock,
    connect: async () => {
      if (failure !== undefined) throw failure;
      const way = new Way(`way ${ways.length + 1}`);
      ways.push(way);
      return way;
    },
  });
});

const events: TransportEvents = {
  packet: (bytes) => void seen.push(`packet ${bytes.length}`),
  connected: ({ broker }) => void seen.push(`connected ${broker}`),
  disconnected: ({ error, permanent }) => void seen.push(`disconnected ${error.code} ${permanent}`),
};
const refused = new MeshError('broker-refused-login', { broker: 'way 1' });

test('what happens on the way is told, and how it stands can be asked', async () => {
  expect(await line.publish(device(1), new Uint8Array(1))).toBe('offline');
  line.open(events);
  await settled();
  ways[0]?.connect();
  ways[0]?.events?.packet(new Uint8Array(3));
  expect(line.state()).toMatchObject({ broker: 'way 1', error: undefined });
  expect(await line.publish(device(1), new Uint8Array(1))).toBe('taken');
  ways[0]?.events?.disconnected({ error: refused, permanent: true });
  expect(line.state()).toEqual({ broker: undefined, error: refused, permanent: true });
  expect(seen).toEqual(['connected way 1', 'packet 3', 'disconnected broker-refused-login true']);
});

test('new settings end the old way, say so, and begin a new one', async () => {
  line.open(events);
  await settled();
  ways[0]?.connect();
  await line.renew();
  expect(ways.map(({ closed }) => closed)).toEqual([true, false]);
  ways[1]?.connect();
  expect(seen).toEqual(['connected way 1', 'disconnected broker-lost false', 'connected way 2']);
});

test('settings that cannot work are a permanent failure, until they are changed', async () => {
  failure = new MeshError('broker-url-missing');
  line.open(events);
  await settled();
  expect(line.state()).toMatchObject({ permanent: true, error: { code: 'broker-url-missing' } });
  failure = undefined;
  await line.renew();
  ways[0]?.connect();
  expect(line.state()).toMatchObject({ broker: 'way 1', permanent: false });
});

test('settings that change before anything was opened open nothing', async () => {
  await line.renew();
  expect(ways).toEqual([]);
});

test('a line that is closed stays closed', async () => {
  line.open(events);
  await line.close();
  expect(ways.every(({ closed, events: given }) => closed && given === undefined)).toBe(true);
  await line.renew();
  expect(ways.filter(({ closed }) => !closed)).toEqual([]);
});

test('it is quiet once nothing has come for a while after the connection', async () => {
  line.open(events);
  await settled();
  let quiet = false;
  const waiting = line.quiet(40, 5000).then(() => {
    quiet = true;
  });
  clock.pass(100);
  await settled();
  expect(quiet).toBe(false);
  ways[0]?.connect();
  for (let i = 0; i < 5; i++) {
    clock.pass(30);
    ways[0]?.events?.packet(new Uint8Array(1));
  }
  await settled();
  expect(quiet).toBe(false);
  clock.pass(40);
  await waiting;
});

test.each([
  ['connecting failed', () => ways[0]?.events?.disconnected({ error: refused, permanent: false })],
  ['the time is up', () => clock.pass(5000)],
])('nobody waits for quiet any longer when %s', async (_, happens) => {
  line.open(events);
  await settled();
  const waiting = line.quiet(40, 5000);
  happens();
  await waiting;
});

test('a probe sees each packet first and takes its own, until it is stopped', async () => {
  line.open(events);
  await settled();
  ways[0]?.connect();
  const stop = line.probe((bytes) => bytes.length === 2);
  ways[0]?.events?.packet(new Uint8Array(1));
  ways[0]?.events?.packet(new Uint8Array(2));
  stop();
  ways[0]?.events?.packet(new Uint8Array(2));
  expect(seen).toEqual(['connected way 1', 'packet 1', 'packet 2']);
});
