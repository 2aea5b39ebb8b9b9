/**
 * How a command gets at its device: through whoever has the store open, or by opening it itself for as long as
 * it works. Where the other side ends in between, it does so again: everything that is asked for may be asked
 * for twice.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createRpcClient } from '../../adapters/rpc/client.ts';
import { isObject, type Json, type JsonObject } from '../../adapters/rpc/protocol.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import type { Host } from '../daemon/host.ts';
import { errorCode } from '../node/durable-file.ts';
import { connectSocket } from '../node/local-socket.ts';
import type { Invocation } from './invocation.ts';

/** How long a command waits for a store that another one has. */
const WAIT_FOR_STORE = 10_000;
/** How long a command that gave way to a daemon leaves the store alone. */
const TIME_FOR_DAEMON = 3_000;
/** What others may still need of a store that this command is done with. */
const PATIENCE_WITH_OTHERS = 5_000;

/** Whoever had the store is giving it up. */
const GOING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['daemon-stopping', 'daemon-gone']);

export interface Link {
  call(method: string, params?: JsonObject): Promise<Json>;
  on(method: string, handle: (params: JsonObject) => void): void;
  /** A message id that nobody has used. */
  readonly freshId: string;
  /** Rejects when the connection ends. */
  readonly broken: Promise<never>;
}

export interface SessionOptions {
  /** False where asking twice would do it twice. */
  readonly repeatable?: boolean;
}

export async function withMesh<T>(
  invocation: Invocation,
  work: (link: Link) => Promise<T>,
  { repeatable = true }: SessionOptions = {},
): Promise<T> {
  let gaveWay = false;
  for (;;) {
    // A daemon that asked for the store shall find it free.
    if (gaveWay) await socketAppears(invocation.home, TIME_FOR_DAEMON);
    const { link, close, given } = await reach(invocation);
    try {
      return await work(link);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const again = error.code === 'daemon-stopping' || (error.code === 'daemon-gone' && repeatable);
      if (!again) throw error;
    } finally {
      await close();
      gaveWay = given();
    }
  }
}

async function socketAppears(home: string, limit: number): Promise<void> {
  const deadline = performance.now() + limit;
  while (performance.now() < deadline) {
    const channel = await connectSocket(home);
    if (channel !== undefined) return channel.destroy();
    await pause(20);
  }
}

export interface Reached {
  readonly link: Link;
  /** True once this command has given the store to a daemon. */
  given(): boolean;
  close(): Promise<void>;
}

async function reach(invocation: Invocation): Promise<Reached> {
  const connected = await connect(invocation.home);
  if (connected !== undefined) return connected;
  const host = await patiently(invocation.home, async () => {
    const other = await connect(invocation.home);
    return other ?? (await hostIt(invocation));
  });
  return host;
}

/** To whoever serves the socket of this home, if anybody does. */
export async function connect(home: string): Promise<Reached | undefined> {
  const channel = await connectSocket(home);
  if (channel === undefined) return undefined;
  const handlers = new Map<string, (params: JsonObject) => void>();
  const client = createRpcClient(channel, (method, params) => handlers.get(method)?.(params));
  // Somebody may have the socket and be stuck.
  const answered = await Promise.race([
    client.call('hello').then(
      (hello) => (isObject(hello) && typeof hello.freshId === 'string' ? hello.freshId : ''),
      (error: unknown) => {
        if (error instanceof MeshError && GOING.has(error.code)) return undefined;
        throw error;
      },
    ),
    pause(WAIT_FOR_STORE, false, { ref: false }),
  ]);
  if (typeof answered !== 'string') {
    channel.destroy();
    if (answered === undefined) return undefined;
    throw new MeshError('daemon-silent', { home });
  }
  const broken = client.ended.then((error): never => {
    throw error;
  });
  broken.catch(() => undefined);
  const link: Link = {
    call: (method, params) => client.call(method, params),
    on: (method, handle) => void handlers.set(method, handle),
    freshId: answered,
    broken,
  };
  return { link, given: () => false, close: async () => client.close() };
}

/** Everything that this needs is loaded only now: a command that finds a daemon must not pay for it. */
async function hostIt(invocation: Invocation): Promise<Reached> {
  const { findUnlockSecret } = await import('./unlocking.ts');
  const unlock = await findUnlockSecret(invocation);
  const { openHost } = await import('../daemon/host.ts');
  const { home, out } = invocation;
  const fatal = (error: unknown): void => {
    const known = error instanceof MeshError ? error : new MeshError('bug', { detail: String(error) }, error);
    void out.fail(known).finally(() => process.exit(known.exit));
  };
  const host: Host = await openHost({ home, unlock, host: 'one-shot', fatal, bug: fatal });
  let given = false;
  void host.handedOver.then(() => {
    given = true;
  });
  // Somebody else may have told this device to leave: nothing here is worth keeping the store for any more.
  void host.retirement.then(() => host.release(PATIENCE_WITH_OTHERS).catch(fatal));
  const own = await connect(home);
  if (own === undefined) {
    // A daemon was waiting at the door and has the store by now, or is about to.
    await host.release(0);
    await socketAppears(home, TIME_FOR_DAEMON);
    throw new MeshError('store-in-use', { home, pid: 'unknown' });
  }
  return {
    link: own.link,
    given: () => given,
    async close() {
      await own.close();
      await host.release(PATIENCE_WITH_OTHERS);
    },
  };
}

/** Tries until whoever has the store gives it up or answers; ten seconds at most. */
export async function patiently<T>(home: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + WAIT_FOR_STORE;
  for (let tries = 0; ; tries++) {
    try {
      // Trying to open costs far more than asking whether somebody has it open.
      if (!isLocked(home) || tries % 20 === 19) return await attempt();
      const other = await connectSocket(home);
      if (other !== undefined) {
        other.destroy();
        return await attempt();
      }
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'store-in-use') throw error;
      if (performance.now() > deadline) throw error;
    }
    if (performance.now() > deadline) throw new MeshError('daemon-silent', { home });
    // Not in step with the others that wait.
    await pause(20 + Math.random() * 60);
  }
}

function isLocked(home: string): boolean {
  try {
    const pid = Number.parseInt(readFileSync(join(home, 'lock'), 'latin1'), 10);
    if (!Number.isSafeInteger(pid) || pid < 1) return false;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
