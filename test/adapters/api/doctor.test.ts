import { expect, test } from 'vitest';
import type { Check } from '../../../src/adapters/api/check.ts';
import { type CheckPorts, examine } from '../../../src/adapters/api/doctor.ts';
import { type BrokerLine, createBrokerLine } from '../../../src/adapters/broker-line.ts';
import { MemoryBroker } from '../../../src/adapters/memory/memory-transport.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import type { IncidentRecord } from '../../../src/usecases/ports/records.ts';
import { realClock, realRandomness } from '../../brokers/loopback.ts';
import { device } from '../../contracts/transport.ts';

const SELF = device(1);
const PHONE = device(2);
const NOON = Date.UTC(2026, 5, 1, 12);
const DAY = 86_400_000;

interface Situation {
  readonly now?: number;
  readonly signedAt?: number;
  readonly elapsed?: number;
  readonly lastHeard?: number;
  readonly waiting?: number;
  readonly withheldSince?: number;
  readonly incidents?: readonly IncidentRecord[];
  readonly files?: MeshError;
  /** A second client takes the place of the first, and the check is not told of it before. */
  readonly takesOver?: boolean;
}

async function checksIn({
  now = NOON,
  signedAt = NOON,
  elapsed = 0,
  lastHeard,
  waiting = 0,
  withheldSince,
  incidents = [],
  files,
  takesOver = false,
}: Situation) {
  // Time passes quickly, so that nobody waits for what does not come.
  const quick = {
    ...realClock,
    after: (delay: number, call: () => void) => realClock.after(delay / 50, call),
  };
  const broker = new MemoryBroker({ clock: quick, packetBytes: 100_000 });
  const line: BrokerLine = createBrokerLine({ clock: quick, connect: async () => broker.transport(SELF) });
  const seen: number[] = [];
  line.open({
    packet: (bytes) => void seen.push(bytes.length),
    connected: () => undefined,
    disconnected: () => undefined,
  });
  const ports: CheckPorts = {
    self: SELF,
    clock: { ...quick, now: () => now, elapsed: () => elapsed },
    randomness: realRandomness,
    keystore: { keys: () => [], read: async () => undefined },
    line,
    online: async () => undefined,
    checkup: {
      async files() {
        if (files !== undefined) throw files;
      },
      oneSessionPerLogin: async () => !takesOver,
      secondClient: async () => broker.transport(SELF),
    },
    membership: () => ({
      log: new Map([['entry', { createdAt: signedAt }]]),
      roster: { members: new Set([SELF, PHONE]), devices: new Map([[PHONE, { id: PHONE, name: 'phone' }]]) },
    }),
    messenger: {
      status: () => ({ peers: [{ deviceId: PHONE, waiting, lastHeard, withheldSince }], incidents }),
    },
  };
  const checks: Check[] = [];
  for await (const check of examine(ports)) checks.push(check);
  const connected = line.state().broker !== undefined;
  await line.close();
  const failed = checks.filter(({ ok }) => !ok).map(({ check }) => check);
  return { checks, failed: failed.filter((check) => check !== 'packet-limit'), all: failed, seen, connected };
}

test('what goes to the broker for a check is seen by nobody else, and a small limit is found', async () => {
  const { all, seen } = await checksIn({});
  expect(all).toEqual(['packet-limit']);
  expect(seen).toEqual([]);
});

test.each([
  ['before 2024', { now: Date.UTC(2023, 11, 31), signedAt: 0 }, ['clock']],
  ['an hour behind what somebody has signed', { signedAt: NOON + 3_600_000 }, ['clock']],
  ['a minute behind', { signedAt: NOON + 60_000 }, []],
  ['a year ahead of the last entry', { signedAt: NOON - 365 * DAY }, []],
])('the clock: %s', async (_, situation, expected) => {
  expect((await checksIn(situation)).failed).toEqual(expected);
});

test.each([
  ['is silent for two days while messages wait', { elapsed: 2 * DAY, waiting: 3 }, ['member']],
  ['is silent, and nothing waits for it', { elapsed: 2 * DAY }, []],
  ['was heard an hour ago', { elapsed: 2 * DAY, lastHeard: 2 * DAY - 3_600_000, waiting: 3 }, []],
])('a member that %s', async (_, situation, expected) => {
  const { failed, checks } = await checksIn(situation);
  expect(failed).toEqual(expected);
  expect(checks.find(({ check }) => check === 'member')).toMatchObject({ deviceId: PHONE });
});

test('a member that answers others and not this device is told of with how long that lasts', async () => {
  const { failed, checks } = await checksIn({ elapsed: 3 * DAY, withheldSince: DAY / 2 });
  expect(failed).toEqual(['member']);
  const detail =
    'phone: no sign of life since this process was started; it answers others, and nothing of it has come here for 2 days';
  expect(checks.find(({ check }) => check === 'member')).toMatchObject({ deviceId: PHONE, detail });
});

test('what the broker did in the last week is told with device and interval, and nothing older', async () => {
  const since = NOON - 3 * DAY;
  const incidents = [
    { what: 'packets-replayed', device: PHONE, count: 4, at: NOON - 8 * DAY },
    { what: 'inbox-full', device: PHONE, count: 1, at: NOON },
    { what: 'packets-replayed', device: PHONE, count: 4, at: NOON - DAY, since },
  ];
  const { failed, checks } = await checksIn({ incidents });
  expect(failed).toEqual(['conduct']);
  expect(checks.filter(({ check }) => check === 'conduct')).toMatchObject([
    {
      deviceId: PHONE,
      detail:
        'phone, from 3 days ago to 24 hours ago: packets of it came again that the broker had delivered before (4)',
    },
  ]);
  const { checks: clean } = await checksIn({});
  expect(clean.filter(({ check }) => check === 'conduct')).toMatchObject([{ ok: true }]);
});

test('files that are open to others are told of with what to do', async () => {
  const files = new MeshError('store-permissions', { path: '/x', mode: '0644', wanted: '600' });
  const { failed, checks } = await checksIn({ files });
  expect(failed).toEqual(['permissions']);
  expect(checks.find(({ check }) => check === 'permissions')?.hint).toBe(files.hint);
});

test('where a second client takes the place of the first, the check notices and gives it back', async () => {
  const { checks, connected } = await checksIn({ takesOver: true });
  expect(checks.find(({ check }) => check === 'offline-queue')).toMatchObject({
    ok: true,
    detail: expect.stringContaining('not looked at'),
  });
  expect(connected).toBe(true);
});
