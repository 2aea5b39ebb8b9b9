/** One device of the simulation: its disk, and the program while it runs. */

import { createSealedKeystore, openSealedKeystore } from '../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys, type StoreKeys } from '../../src/adapters/keystore/store-keys.ts';
import { type DiskImage, MemoryDisk, PowerCut } from '../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { deriveDeviceId } from '../../src/entities/device-id.ts';
import type { Party } from '../../src/entities/pair-keys.ts';
import type { Membership } from '../../src/entities/roster/membership.ts';
import { Secret } from '../../src/entities/secret.ts';
import { loadMesh } from '../../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../../src/usecases/messaging/messenger.ts';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { Account, Engine } from '../../src/usecases/ports/engine.ts';
import type { Change, Keystore } from '../../src/usecases/ports/keystore.ts';
import type { PairRecord } from '../../src/usecases/ports/records.ts';
import type { Transport } from '../../src/usecases/ports/transport.ts';
import { type Founder, logChanges } from '../support/found-mesh.ts';
import type { Seeded } from './seeded.ts';

export interface SimDeviceParts {
  readonly name: string;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly seeded: Seeded;
  readonly transport: (self: Party) => Transport;
}

export class SimDevice {
  readonly name: string;
  readonly disk = new MemoryDisk();
  readonly #parts: SimDeviceParts;
  readonly #keys: StoreKeys;
  readonly #pickleKey: Secret;
  #founder: Founder | undefined;
  messenger: Messenger | undefined;
  #account: Account | undefined;
  #keystore: Keystore | undefined;
  /** What the store holds of each pair, as the keystore has confirmed it. */
  committed = new Map<string, PairRecord>();
  fatal: unknown;
  images: { readonly image: DiskImage; readonly step: number }[] = [];

  constructor(parts: SimDeviceParts) {
    this.name = parts.name;
    this.#parts = parts;
    const random = (length: number) => parts.seeded.bytes(length);
    this.#keys = deriveStoreKeys(nodePrimitives.mac, new Secret(random(32)), random(16));
    this.#pickleKey = new Secret(random(32));
  }

  #storeParts() {
    return {
      database: this.disk.database(),
      anchor: this.disk.anchor(),
      keys: this.#keys,
      primitives: nodePrimitives,
      randomness: (length: number) => this.#parts.seeded.bytes(length),
      clock: this.#parts.clock,
    };
  }

  /** Makes the device's keys and its store. */
  async make(): Promise<void> {
    const account = this.#parts.engine.createAccount();
    const keystore = await createSealedKeystore(this.#storeParts());
    await keystore.commit([{ kind: 'account', key: 'self', put: account.pickle(this.#pickleKey) }]);
    const { keys } = account;
    this.#founder = {
      self: { id: deriveDeviceId(nodePrimitives.hash, keys), keys },
      account,
      name: this.name,
    };
    await keystore.close();
  }

  /** Makes this the mesh that the device is in. */
  async enter(membership: Membership): Promise<void> {
    const keystore = await openSealedKeystore(this.#storeParts());
    await keystore.commit(logChanges(keystore, membership));
    await keystore.close();
  }

  async start(): Promise<void> {
    const opened = await openSealedKeystore(this.#storeParts());
    const keystore = this.#watch(opened);
    this.#keystore = keystore;
    const pickle = await keystore.read('account', 'self');
    if (pickle === undefined) throw new Error('a device without an account');
    this.committed = new Map();
    for (const key of keystore.keys('pair')) {
      const record = await keystore.read('pair', key);
      if (record !== undefined) this.committed.set(key, record);
    }
    const account = this.#parts.engine.restoreAccount(pickle, this.#pickleKey);
    this.#account = account;
    this.messenger = await createMessenger({
      engine: this.#parts.engine,
      ...nodePrimitives,
      clock: this.#parts.clock,
      randomness: (length) => this.#parts.seeded.bytes(length),
      keystore,
      transport: this.#parts.transport(this.party),
      self: this.party,
      account,
      pickleKey: this.#pickleKey,
      membership: await loadMesh(nodePrimitives.hash, keystore),
      fatal: (error) => {
        this.fatal = error;
      },
    });
    this.messenger.open();
  }

  /** Remembers what was confirmed, for those who check that nothing else is shown. */
  #watch(keystore: Keystore): Keystore {
    return {
      read: (kind, key) => keystore.read(kind, key),
      keys: (kind) => keystore.keys(kind),
      position: () => keystore.position(),
      close: () => keystore.close(),
      commit: async (changes: readonly Change[]) => {
        // As they are now: what the caller does with them afterwards must not matter.
        const pairs = changes.flatMap((change) =>
          change.kind === 'pair' && 'put' in change
            ? [[change.key, structuredClone(change.put)] as const]
            : [],
        );
        await keystore.commit(changes);
        for (const [key, record] of pairs) this.committed.set(key, record);
      },
    };
  }

  get party(): Party {
    return this.founder.self;
  }

  /** Its keys, for what it signs while it does not run. */
  get founder(): Founder {
    if (this.#founder === undefined) throw new Error('the device was not made yet');
    return this.#founder;
  }

  get running(): boolean {
    return this.messenger !== undefined;
  }

  /** The power goes. */
  crash(): void {
    this.messenger?.abandon();
    this.disk.cutPower();
    this.#gone();
  }

  async stop(): Promise<void> {
    try {
      await this.messenger?.close();
      await this.#keystore?.close();
    } catch (error) {
      // The power may go in the middle of a clean stop too.
      if (!(error instanceof PowerCut)) throw error;
      this.messenger?.abandon();
    }
    this.#gone();
  }

  #gone(): void {
    this.messenger = undefined;
    this.#keystore = undefined;
    this.#account?.dispose();
    this.#account = undefined;
    this.fatal = undefined;
  }
}
