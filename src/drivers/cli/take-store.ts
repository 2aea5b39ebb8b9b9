/** For the commands that keep the store for long: a one-shot command that has it is asked to give it up. */
import { setTimeout as pause } from 'node:timers/promises';
import { createRpcClient } from '../../adapters/rpc/client.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import { connectSocket } from '../node/local-socket.ts';
import { patiently } from './session.ts';

/** Whoever has the store does not give it up. */
const STAYING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'daemon-running',
  'broker-running',
  'daemon-silent',
]);
/** How long whoever has the store may take to say whether it gives it up. */
const WAIT_FOR_ANSWER = 10_000;

/** Throws `daemon-running` or `broker-running` where one of these has it. */
export function takeStore<T>(home: string, open: () => Promise<T>): Promise<T> {
  return patiently(home, async () => {
    await askFor(home);
    return open();
  });
}

async function askFor(home: string): Promise<void> {
  const channel = await connectSocket(home);
  if (channel === undefined) return;
  const client = createRpcClient(channel);
  try {
    // Somebody may have the socket and be stuck.
    await Promise.race([
      client.call('handover'),
      pause(WAIT_FOR_ANSWER, undefined, { ref: false }).then(() => {
        throw new MeshError('daemon-silent', { home });
      }),
    ]);
  } catch (error) {
    if (error instanceof MeshError && STAYING.has(error.code)) throw error;
  } finally {
    client.close();
  }
}
