/** A program that hands messages to a daemon over its socket, as fast as it takes them. */
import { setTimeout as pause } from 'node:timers/promises';
import { createRpcClient, type RpcClient } from '../src/adapters/rpc/client.ts';
import { isObject } from '../src/adapters/rpc/protocol.ts';
import { connectSocket } from '../src/drivers/node/local-socket.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';

/** Calls without an answer: the daemon reads no further than that either. */
const TOGETHER = 256;
const LOOK = 20;

let client: RpcClient | undefined;

export const socketCaller = {
  async open(home: string): Promise<void> {
    const channel = await connectSocket(home);
    if (channel === undefined) throw new Error('no daemon answers');
    client = createRpcClient(channel);
  },

  /** Milliseconds until the daemon has accepted all of them. */
  async burst(target: string, bytes: number, count: number): Promise<number> {
    const data = Buffer.from(nodeRandomness(bytes)).toString('base64');
    const began = performance.now();
    let left = count;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await client?.call('send', { target, data, wait: 'accepted' });
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, lane));
    return performance.now() - began;
  },

  /** Resolves when nothing waits at this device any more. */
  async delivered(): Promise<void> {
    for (;;) {
      const status = await client?.call('status');
      if (isObject(status) && status.outbox === 0) return;
      await pause(LOOK);
    }
  },
};
