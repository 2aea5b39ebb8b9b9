/** For the commands that keep the store for long: a one-shot command that has it is asked to give it up. */
import { createRpcClient } from '../../adapters/rpc/client.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import { connectSocket } from '../node/local-socket.ts';
import { patiently } from './session.ts';

/** Those who have the store do not give it up by themselves. */
const STAYING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['daemon-running', 'broker-running']);

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
    await client.call('handover');
  } catch (error) {
    if (error instanceof MeshError && STAYING.has(error.code)) throw error;
  } finally {
    client.close();
  }
}
