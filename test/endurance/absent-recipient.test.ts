import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { makeMesh } from '../process/make-mesh.ts';
import { as, compile, mesh, up } from '../process/mesh-process.ts';
import { digestOf, mixedPayload, patientClient, readAll, sendAll } from './caller.ts';

const MINUTE = 60_000;
const AWAY = 5000;
let dir: string;

beforeAll(async () => {
  await compile();
  dir = await mkdtemp(join(tmpdir(), 'mesh-absent-'));
}, MINUTE);
afterAll(() => rm(dir, { recursive: true, force: true }));

const suffix = hasMosquitto ? '' : `: ${withoutMosquitto}`;

describe('a stock broker, which silently drops what goes beyond a thousand queued packets', () => {
  it.skipIf(!hasMosquitto)(
    `hands all of five thousand messages to a recipient that was away, in order${suffix}`,
    async () => {
      const broker = await startMosquitto();
      const [laptop, phone] = await makeMesh({ count: 2, dir: join(dir, 'away'), brokerUrl: broker.url });
      if (laptop === undefined || phone === undefined) throw new Error('two devices were made');
      const payload = (i: number): Uint8Array => mixedPayload(i).subarray(0, 200);
      // Both meet once, and then the phone goes away.
      const sender = await up(laptop);
      const before = await up(phone);
      const first = await mesh([
        'send',
        ...as(laptop),
        phone.deviceId,
        'hello',
        '--wait',
        'delivered',
        '--timeout',
        '30s',
      ]);
      expect(first.status).toBe(0);
      await before.stop();
      try {
        await sendAll(laptop.home, { count: AWAY, target: phone.deviceId, payload });
        // Time enough for the broker to drop what it would.
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const back = await up(phone);
        const arrived = await readAll(phone.home, AWAY + 1, 3 * MINUTE);
        const digests = arrived.map(({ digest }) => digest);
        const sent = Array.from({ length: AWAY }, (_, i) => digestOf(payload(i)));
        expect(digests).toEqual([digestOf(new TextEncoder().encode('hello')), ...sent]);
        await back.stop();
      } finally {
        await sender.stop();
        await broker.stop();
      }
    },
    6 * MINUTE,
  );
});

describe('an onlooker who subscribes to everything', () => {
  it.skipIf(!hasMosquitto)(
    `sees no name, no payload and no key beyond what the protocol lists${suffix}`,
    async () => {
      const broker = await startMosquitto();
      const names = ['canary-name-laptop', 'canary-name-phone', 'canary-name-pi'];
      const devices = await makeMesh({ count: 3, dir: join(dir, 'seen'), brokerUrl: broker.url, names });
      const onlooker = await connectAsync(broker.url, { protocolVersion: 5 });
      const seen: { readonly topic: string; readonly payload: Buffer }[] = [];
      onlooker.on('message', (topic, payload) => void seen.push({ topic, payload }));
      await onlooker.subscribeAsync('#', { qos: 1 });
      const daemons = await Promise.all(devices.map((device) => up(device)));
      const canaries = ['canary-payload-of-a-message', 'canary-thread', 'application/canary-type', ...names];
      try {
        for (const from of devices) {
          const client = await patientClient(from.home);
          for (const size of [0, 10, 6000, 60_000]) {
            const text = 'canary-payload-of-a-message '.repeat(Math.ceil(size / 28));
            const more = {
              type: 'application/canary-type',
              thread: 'canary-thread',
              wait: 'delivered',
              timeout: 30_000,
            };
            await client.call('send', { target: 'all', text, ...more });
          }
          client.close();
        }
      } finally {
        await Promise.all(daemons.map((daemon) => daemon.stop()));
        await onlooker.endAsync();
        await broker.stop();
      }
      expect(seen.length).toBeGreaterThan(30);
      const ids = devices.map((device) => device.deviceId);
      for (const { topic } of seen) expect(ids.map((id) => `/mesh/${id}`)).toContain(topic);
      const everything = Buffer.concat(seen.map(({ payload }) => payload));
      for (const canary of canaries) {
        for (const form of formsOf(canary)) expect(everything.includes(form), canary).toBe(false);
      }
      // And the search does find what is there: the ids, which the protocol lists as visible.
      const [first] = seen;
      expect(first !== undefined && everything.includes(first.payload.subarray(4, 24))).toBe(true);
    },
    3 * MINUTE,
  );
});

/** A text as it is, and as the usual encodings would hide it from the eye. */
function formsOf(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const forms = [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(text.toUpperCase())];
  for (let shift = 0; shift < 3; shift++) {
    const base64 = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    forms.push(
      Buffer.from(base64.slice(4, -4)),
      Buffer.from(base64.slice(4, -4).replaceAll('+', '-').replaceAll('/', '_')),
    );
  }
  return forms;
}
