/**
 * A program that uses a daemon over its socket and does not give up: when the daemon is gone it comes back, and
 * says again what it had no answer to, in the order in which it said it first.
 */
import { createHash } from 'node:crypto';
import type { RpcClient } from '../../src/adapters/rpc/client.ts';
import { createRpcClient } from '../../src/adapters/rpc/client.ts';
import type { JsonObject } from '../../src/adapters/rpc/protocol.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';

const TOGETHER = 32;

export async function patientClient(
  home: string,
  notified?: (method: string, params: JsonObject) => void,
): Promise<RpcClient> {
  for (;;) {
    const channel = await connectSocket(home);
    if (channel !== undefined) return createRpcClient(channel, notified);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Load {
  readonly count: number;
  readonly target: string;
  readonly payload: (i: number) => Uint8Array;
  /** Called after each message that was accepted. */
  readonly accepted?: (i: number) => void;
  /** Sends no faster than this many a second. */
  readonly rate?: number;
}

/** Sends all of them, each with an id of its own, however often the daemon dies. */
export async function sendAll(home: string, { count, target, payload, accepted, rate }: Load): Promise<void> {
  let next = 0;
  const startedAt = performance.now();
  while (next < count) {
    const client = await patientClient(home);
    try {
      while (next < count) {
        const calls: Promise<unknown>[] = [];
        for (let i = next; i < Math.min(count, next + TOGETHER); i++) {
          const data = Buffer.from(payload(i)).toString('base64');
          calls.push(client.call('send', { target, data, id: `message ${i}`, wait: 'accepted' }));
        }
        // Accepted in the order of asking: what is answered without a gap is done with.
        const outcomes = await Promise.allSettled(calls);
        const done = outcomes.findIndex(({ status }) => status === 'rejected');
        const settled = done < 0 ? outcomes.length : done;
        for (let i = 0; i < settled; i++) accepted?.(next + i);
        next += settled;
        const failure = outcomes[settled];
        if (failure?.status === 'rejected') throw failure.reason;
        if (rate !== undefined) {
          const early = (next / rate) * 1000 - (performance.now() - startedAt);
          if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
        }
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    } finally {
      client.close();
    }
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['daemon-gone', 'store-write-failed'].includes(String(error.code))
  );
}

export interface Arrived {
  readonly size: number;
  readonly digest: string;
}

/** Reads the whole inbox from its beginning, with a cursor that nobody used before, until `count` are there. */
export async function readAll(home: string, count: number, limit: number): Promise<Arrived[]> {
  const arrived: Arrived[] = [];
  const cursor = `reader ${Math.random()}`;
  const deadline = performance.now() + limit;
  let client: RpcClient | undefined;
  await new Promise<void>((resolve, reject) => {
    const late = setInterval(() => {
      if (performance.now() > deadline) finish(new Error(`${arrived.length} of ${count} arrived in time`));
    }, 250);
    const finish = (error?: Error): void => {
      clearInterval(late);
      if (error === undefined) resolve();
      else reject(error);
    };
    patientClient(home, (method, params) => {
      if (method !== 'message') return;
      const message = params.message as { readonly text?: string; readonly data?: string };
      const bytes =
        message.text === undefined
          ? Buffer.from(message.data ?? '', 'base64')
          : Buffer.from(message.text, 'utf8');
      arrived.push({ size: bytes.length, digest: digestOf(bytes) });
      const { subscription, number } = params;
      if (subscription === undefined || number === undefined) return;
      client?.call('listen.done', { subscription, number }).then(
        () => arrived.length >= count && finish(),
        (error: unknown) => finish(error instanceof Error ? error : new Error(String(error))),
      );
    })
      .then((connected) => {
        client = connected;
        return connected.call('listen', { cursor });
      })
      .catch((error: unknown) => finish(error instanceof Error ? error : new Error(String(error))));
  }).finally(() => client?.close());
  return arrived;
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** Between nothing and 64 KiB, most of it small; the beginning says which one it is. */
export function mixedPayload(i: number): Uint8Array {
  const sizes = [0, 1, 40, 100, 300, 1000, 1024, 2000, 4096, 5000, 16_384, 65_536];
  const size = sizes[(i * 7 + (i >> 4)) % (i % 29 === 0 ? sizes.length : 9)] ?? 0;
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = (i * 31 + at * 7 + (at >> 8)) & 0xff;
  const mark = new TextEncoder().encode(`#${i} `);
  bytes.set(mark.subarray(0, size));
  return bytes;
}
