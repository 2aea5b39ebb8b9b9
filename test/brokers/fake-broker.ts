/** Mallory's broker: says what the test tells it to, byte by byte. */
import { createServer, type Socket } from 'node:net';

export interface FakePacket {
  readonly type: number;
  /** Without the fixed header. */
  readonly body: Buffer;
}

export interface Caller {
  /** 5, or 4 for MQTT 3.1.1, as the CONNECT packet claims. */
  readonly version: number;
  readonly number: number;
  send(...bytes: readonly number[]): void;
  hangUp(): void;
}

export interface FakeBroker {
  readonly url: string;
  readonly port: number;
  /** The version of every CONNECT, in order. */
  readonly calls: readonly number[];
  stop(): Promise<void>;
}

export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;
export const SUBSCRIBE = 8;

export async function startFakeBroker(
  answer: (caller: Caller, packet: FakePacket) => void,
): Promise<FakeBroker> {
  const sockets = new Set<Socket>();
  const calls: number[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let caller: Caller | undefined;
    let held = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (let packet = take(held); packet !== undefined; packet = take(held)) {
        held = held.subarray(packet.whole);
        if (packet.type === CONNECT) {
          const version = packet.body[6] ?? 0;
          calls.push(version);
          caller = {
            version,
            number: calls.length,
            send: (...bytes) => void socket.write(Uint8Array.from(bytes)),
            hangUp: () => socket.end(),
          };
        }
        if (caller !== undefined) answer(caller, packet);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    calls,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** What an honest broker says to CONNECT and SUBSCRIBE; everything else is left to the test. */
export function welcome(caller: Caller, packet: FakePacket, properties: readonly number[] = []): void {
  if (packet.type === CONNECT) {
    if (caller.version === 5)
      caller.send(0x20, 3 + properties.length, 0, 0, properties.length, ...properties);
    else caller.send(0x20, 2, 0, 0);
  } else if (packet.type === SUBSCRIBE) {
    const [high = 0, low = 0] = packet.body;
    if (caller.version === 5) caller.send(0x90, 4, high, low, 0, 1);
    else caller.send(0x90, 3, high, low, 1);
  }
}

export function messageId(packet: FakePacket): readonly [number, number] {
  const at = packet.type === PUBLISH ? 2 + packet.body.readUInt16BE(0) : 0;
  return [packet.body[at] ?? 0, packet.body[at + 1] ?? 0];
}

function take(bytes: Buffer): (FakePacket & { readonly whole: number }) | undefined {
  let length = 0;
  for (let i = 1; i < 5; i++) {
    const byte = bytes[i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) << (7 * (i - 1));
    if (byte >= 0x80) continue;
    const whole = 1 + i + length;
    if (bytes.length < whole) return undefined;
    return { type: (bytes[0] ?? 0) >> 4, body: bytes.subarray(1 + i, whole), whole };
  }
  return undefined;
}
