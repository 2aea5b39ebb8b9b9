import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OnOversized, PacketGuard } from '../../../src/drivers/mqtt/packet-guard.ts';
import { eventually } from '../../brokers/loopback.ts';

const LIMIT = 300;

function length(bytes: number): number[] {
  return bytes < 128 ? [bytes] : [(bytes & 0x7f) | 0x80, ...length(bytes >> 7)];
}

function packet(first: number, body: readonly number[]): Buffer {
  return Buffer.from([first, ...length(body.length), ...body]);
}

function publish(topic: string, qos: 0 | 1, payload: number, properties: readonly number[] = []): Buffer {
  const id = qos === 0 ? [] : [0x12, 0x34];
  const name = [0, topic.length, ...Buffer.from(topic)];
  return packet(0x30 | (qos << 1), [...name, ...id, ...properties, ...new Array<number>(payload).fill(0xaa)]);
}

/** What comes out when these chunks go in, and whether the line is still open then. */
async function through(
  chunks: readonly Uint8Array[],
  how: OnOversized,
): Promise<{ readonly out: Buffer; readonly open: boolean }> {
  const line = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const guard = new PacketGuard(line, LIMIT, how);
  guard.on('error', () => undefined);
  const out: Buffer[] = [];
  guard.on('data', (chunk: Buffer) => out.push(chunk));
  for (const chunk of chunks) line.push(chunk);
  await new Promise((resolve) => setImmediate(resolve));
  await eventually(() => line.destroyed || line.readableLength === 0, 'all read');
  await new Promise((resolve) => setImmediate(resolve));
  const open = !guard.destroyed;
  guard.destroy();
  return { out: Buffer.concat(out), open };
}

const hollowing = (version: 4 | 5, counted: () => void = () => undefined): OnOversized => ({
  hollowOut: { version, counted },
});

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}

describe('the guard in front of the parser', () => {
  const small = fc.oneof(
    fc.integer({ min: 0, max: LIMIT - 20 }).map((payload) => publish('/mesh/x', 1, payload)),
    fc.constantFrom(packet(0x20, [0, 0]), packet(0xd0, []), packet(0x40, [1, 2])),
  );
  const large = fc.record({
    qos: fc.constantFrom<0 | 1>(0, 1),
    payload: fc.integer({ min: LIMIT, max: 3 * LIMIT }),
  });

  it('passes every byte of packets within the limit, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(small, { maxLength: 8 }), fc.array(fc.nat()), async (packets, cuts) => {
        const whole = Buffer.concat(packets);
        const { out, open } = await through(split(whole, cuts), hollowing(4));
        expect(out.equals(whole)).toBe(true);
        expect(open).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('throws away the payload of an oversized one and nothing else, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        small,
        large,
        small,
        fc.array(fc.nat()),
        async (before, { qos, payload }, after, cuts) => {
          const whole = Buffer.concat([before, publish('/mesh/x', qos, payload), after]);
          const { out } = await through(split(whole, cuts), hollowing(4));
          expect(out.equals(Buffer.concat([before, publish('/mesh/x', qos, 0), after]))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('leaves out the properties of MQTT 5 as well, and counts', async () => {
    let counted = 0;
    const { out } = await through(
      [publish('/mesh/x', 1, 1000, [2, 0x01, 0x01])],
      hollowing(5, () => {
        counted += 1;
      }),
    );
    expect(out.equals(publish('/mesh/x', 1, 0, [0]))).toBe(true);
    expect(counted).toBe(1);
  });

  const hopeless: readonly (readonly [string, Buffer])[] = [
    ['an oversized packet that is no PUBLISH', Buffer.from([0x20, 0xff, 0x7f, 0, 0])],
    ['a length without an end', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['a small PUBLISH with QoS 2', Buffer.from([0x34, 6, 0, 1, 0x78, 0, 7, 0xaa])],
    ['an oversized PUBLISH with QoS 2', Buffer.from([0x34, 0xff, 0x7f, 0, 1, 0x78, 0, 7])],
    ['a topic longer than its packet', Buffer.from([0x32, 0xff, 0x7f, 0xff, 0xff, 0x01])],
  ];
  for (const [what, bytes] of hopeless) {
    it(`hangs up on ${what}`, async () => {
      expect((await through([bytes], hollowing(4))).open).toBe(false);
    });
  }

  it('lets the last words through after the line has closed', async () => {
    const line = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    const guard = new PacketGuard(line, LIMIT, hollowing(4));
    const goodbye = packet(0xe0, [0x8e, 0]);
    line.push(goodbye);
    line.push(null);
    line.end();
    await eventually(() => line.closed, 'the line is closed');
    expect(await guard.toArray()).toEqual([goodbye]);
    await eventually(() => guard.closed, 'the guard follows');
  });

  it('hangs up on everything oversized where it is told to', async () => {
    expect((await through([publish('/mesh/x', 1, 1000)], 'hang-up')).open).toBe(false);
    expect((await through([publish('/mesh/x', 1, 100)], 'hang-up')).open).toBe(true);
  });
});
