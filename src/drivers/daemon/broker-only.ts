/**
 * `mesh broker`: the embedded broker without the device, for a machine that only lends its network. It has the
 * store to itself, so nobody can join or be removed meanwhile: the logins are those of the members at its start.
 */
import type { UnlockSecret } from '../../adapters/keystore/slot.ts';
import type { Json, JsonObject } from '../../adapters/rpc/protocol.ts';
import { createRpcServer } from '../../adapters/rpc/server.ts';
import { MeshError } from '../../entities/errors.ts';
import { loadDevice } from '../../usecases/device/load-device.ts';
import { loadMesh } from '../../usecases/membership/load-mesh.ts';
import type { RecordKind } from '../../usecases/ports/keystore.ts';
import { nodeClock } from '../node/clock.ts';
import { serveSocket } from '../node/local-socket.ts';
import { openKeystore } from '../node/open-keystore.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';
import { loadEngine } from '../vodozemac/load-node.ts';
import { announcement, type EmbeddedAddress, guestsOf, openEmbedded } from './embedded.ts';

const VERIFIED_AT_OPEN: readonly RecordKind[] = ['identity', 'account', 'entry', 'setting'];

export interface BrokerOnlyOptions {
  readonly home: string;
  readonly unlock: UnlockSecret;
  readonly address: EmbeddedAddress;
  /** Says to people and scripts where it listens. */
  readonly tell: (event: JsonObject) => void;
  /** Opens the store, waiting for whoever has it. */
  readonly obtain: (open: () => Promise<BrokerOnly>) => Promise<BrokerOnly>;
}

interface BrokerOnly {
  readonly listening: JsonObject;
  stop(): Promise<void>;
}

/** Resolves when it was told to stop, and has. Throws what kept it from starting, or ended it. */
export async function runBroker({ home, unlock, address, tell, obtain }: BrokerOnlyOptions): Promise<void> {
  let end: (error?: unknown) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  ended.catch(() => undefined);
  process.on('SIGTERM', () => end());
  process.on('SIGINT', () => end());
  process.on('uncaughtException', (error) => end(error));
  process.on('unhandledRejection', (error) => end(error));

  const { listening, stop } = await obtain(() => openBrokerOnly(home, unlock, address, end));
  tell({ event: 'listening', ...listening });
  try {
    await ended;
  } finally {
    await stop();
  }
}

async function openBrokerOnly(
  home: string,
  unlock: UnlockSecret,
  address: EmbeddedAddress,
  bug: (error: unknown) => void,
): Promise<BrokerOnly> {
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const { hash } = nodePrimitives;
    const { keystore } = await openKeystore(home, unlock, { verifyAtOpen: VERIFIED_AT_OPEN });
    undo.push(() => keystore.close());
    const device = await loadDevice({ engine: await loadEngine(nodeRandomness), hash }, keystore);
    device.account.dispose();
    const members = guestsOf((await loadMesh(hash, keystore)).roster);
    const embedded = await openEmbedded(keystore, { ...address, self: device.self.id, members });
    undo.push(() => embedded.stop());

    // Who looks for a daemon here shall be told at once why there is none, instead of waiting for the store.
    const refuse = async (): Promise<Json> => {
      throw new MeshError('broker-running', { home, pid: process.pid });
    };
    const rpc = createRpcServer({ methods: { hello: refuse, handover: refuse }, clock: nodeClock, bug });
    const socket = await serveSocket(home, (channel) => rpc.accept(channel));
    undo.push(async () => {
      await socket.close();
      rpc.stop();
    });
    return { listening: announcement(embedded), stop };
  } catch (error) {
    // The first failure is the one to tell.
    await stop().catch(() => undefined);
    throw error;
  }
}
