/**
 * Two devices of one mesh in this process, with their stores on disk, joined by a broker in memory that hands on
 * each packet in the next turn of the event loop.
 */
import { mkdirSync } from 'node:fs';
import { MemoryBroker } from '../src/adapters/memory/memory-transport.ts';
import { nodeClock } from '../src/drivers/node/clock.ts';
import { openKeystore } from '../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { readKeyFile } from '../src/drivers/node/unlock.ts';
import { loadEngine } from '../src/drivers/vodozemac/load-node.ts';
import { loadDevice } from '../src/usecases/device/load-device.ts';
import { loadMesh } from '../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../src/usecases/messaging/messenger.ts';
import type { Engine } from '../src/usecases/ports/engine.ts';
import { type MeshDevice, makeMesh } from '../test/process/make-mesh.ts';
import type { Pass } from './peers.ts';

const PATIENCE = 120_000;

export interface TwoMessengers {
  /** All handed over at once: milliseconds until the last one is acknowledged. */
  readonly burst: Pass;
  /** Each one handed over when the one before is acknowledged. */
  readonly oneByOne: Pass;
  close(): Promise<void>;
}

interface Party {
  readonly messenger: Messenger;
  close(): Promise<void>;
}

export async function twoMessengers(dir: string): Promise<TwoMessengers> {
  mkdirSync(dir);
  const engine = await loadEngine(nodeRandomness);
  const broker = new MemoryBroker({ clock: nodeClock });
  const [a, b] = await makeMesh({ count: 2, dir });
  if (a === undefined || b === undefined) throw new Error('two were asked for');
  const bob = await start(engine, broker, b);
  const alice = await start(engine, broker, a);
  const pass = async (payload: Uint8Array, count: number): Promise<void> => {
    const all = acknowledged(alice.messenger);
    const sending = Array.from({ length: count }, () => alice.messenger.send({ to: [b.deviceId], payload }));
    for (const sent of await Promise.all(sending)) if ('refused' in sent) throw new Error(sent.refused);
    await all;
  };
  await pass(nodeRandomness(1), 1);
  return {
    async burst(bytes, count) {
      const payload = nodeRandomness(bytes);
      const began = performance.now();
      await pass(payload, count);
      return performance.now() - began;
    },
    async oneByOne(bytes, count) {
      const payload = nodeRandomness(bytes);
      const began = performance.now();
      for (let i = 0; i < count; i++) await pass(payload, 1);
      return performance.now() - began;
    },
    async close() {
      await alice.close();
      await bob.close();
    },
  };
}

async function start(
  engine: Engine,
  broker: MemoryBroker,
  { home, keyFile, deviceId }: MeshDevice,
): Promise<Party> {
  const { keystore } = await openKeystore(home, await readKeyFile(keyFile), { verifyAtOpen: [] });
  const device = await loadDevice({ engine, hash: nodePrimitives.hash }, keystore);
  const messenger = await createMessenger({
    engine,
    ...nodePrimitives,
    clock: nodeClock,
    randomness: nodeRandomness,
    keystore,
    transport: broker.transport(deviceId),
    ...device,
    membership: await loadMesh(nodePrimitives.hash, keystore),
    fatal: (error) => {
      throw error;
    },
  });
  messenger.open();
  return {
    messenger,
    async close() {
      await messenger.close();
      device.account.dispose();
      await keystore.close();
    },
  };
}

/** Resolves once nothing waits for its recipient any more. */
function acknowledged({ listen, status }: Messenger): Promise<void> {
  return new Promise((resolve, reject) => {
    let looks = false;
    const end = (): void => {
      stop();
      clearTimeout(limit);
    };
    const stop = listen(({ kind }) => {
      if (kind !== 'delivery' || looks) return;
      looks = true;
      // Once for all that end in the same commit.
      setImmediate(() => {
        looks = false;
        if (status().outbox.messages > 0) return;
        end();
        resolve();
      });
    });
    const limit = setTimeout(() => {
      end();
      reject(new Error('not everything was acknowledged'));
    }, PATIENCE);
  });
}
