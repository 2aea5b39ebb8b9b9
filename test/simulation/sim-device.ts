/** One device of the simulation: its disk, and the program while it runs. */

import { createSealedKeystore, openSealedKeystore } from '../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys, type StoreKeys } from '../../src/adapters/keystore/store-keys.ts';
import { type DiskImage, MemoryDisk, PowerCut } from '../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { deriveDeviceId } from '../../src/entities/device-id.ts';
import type { Party } from '../../src/entities/pair-keys.ts';
import type { Membership } from '../../src/entities/roster/membership.ts';
import { Secret } from '../../src/entities/secret.ts';
import { type Administration, createAdministration } from '../../src/usecases/membership/administer.ts';
import { loadMesh } from '../../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../../src/usecases/messaging/messenger.ts';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { Account } from '../../src/usecases/ports/engine.ts';
import type { Keystore } from '../../src/usecases/ports/keystore.ts';
import type { Transport } from '../../src/usecases/ports/transport.ts';
import { type Founder, logChanges } from '../support/found-mesh.ts';
import { Committed } from './committed.ts';
import type { Seeded } from './seeded.ts';
import type { WatchedEngine } from './watched-engine.ts';

export interface SimDeviceParts {
  readonly name: string;
  readonly engine: (self: SimDevice) => WatchedEngine;
  readonly clock: Clock;
  readonly seeded: Seeded;
  readonly transport: (self: Party) => Transport;
  /** What its store has confirmed is not as it should be. */
  readonly complain: (problem: string) => void;
}

interface Running {
  readonly messenger: Messenger;
  readonly account: Account;
  readonly keystore: Keystore;
  readonly administration: Administration;
}

export class SimDevice {
  readonly name: string;
  readonly disk = new MemoryDisk();
  readonly engine: WatchedEngine;
  readonly #parts: SimDeviceParts;
  readonly #keys: StoreKeys;
  readonly #pickleKey: Secret;
  #founder: Founder | undefined;
  #running: Running | undefined;
  /** What the store holds, as it has confirmed it. */
  committed = new Committed();
  fatal: unknown;
  images: { readonly image: DiskImage; readonly step: number }[] = [];
  /** It does what Mallory wants, who has its disk and everything on it. */
  stolen = false;

  constructor(parts: SimDeviceParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.engine = parts.engine(this);
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
    const account = this.engine.createAccount();
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
  async enter(membership: Pick<Membership, 'log'>): Promise<void> {
    const keystore = await openSealedKeystore(this.#storeParts());
    await keystore.commit(logChanges(keystore, membership));
    await keystore.close();
  }

  async start(): Promise<void> {
    const opened = await openSealedKeystore(this.#storeParts());
    const committed = await Committed.load(opened, this.party.id);
    this.committed = committed;
    const keystore = committed.watch(opened, (problem) => {
      if (!this.stolen) this.#parts.complain(`${this.name}: ${problem}`);
    });
    const pickle = await keystore.read('account', 'self');
    if (pickle === undefined) throw new Error('a device without an account');
    const account = this.engine.restoreAccount(pickle, this.#pickleKey);
    const messenger = await createMessenger({
      engine: this.engine,
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
    const { hash } = nodePrimitives;
    const administration = createAdministration({ hash, self: this.party.id, log: messenger.log });
    this.#running = { messenger, account, keystore, administration };
    messenger.open();
  }

  get messenger(): Messenger | undefined {
    return this.#running?.messenger;
  }

  /** What a person at this device does about the membership. */
  get administration(): Administration | undefined {
    return this.#running?.administration;
  }

  /** What the program holds of the log now, committed or not. */
  get membership(): Membership | undefined {
    return this.#running?.messenger.log.membership();
  }

  /** It runs, and takes itself for a member. */
  get isMember(): boolean {
    return this.#running?.messenger.farewell.standing() === 'member';
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
    return this.#running !== undefined;
  }

  /** The power goes. */
  crash(): void {
    this.messenger?.abandon();
    this.disk.cutPower();
    this.#gone();
  }

  async stop(): Promise<void> {
    try {
      await this.#running?.messenger.close();
      await this.#running?.keystore.close();
    } catch (error) {
      // The power may go in the middle of a clean stop too.
      if (!isPowerCut(error)) throw error;
      this.messenger?.abandon();
    }
    this.#gone();
  }

  #gone(): void {
    this.#running?.account.dispose();
    this.#running = undefined;
    this.fatal = undefined;
  }
}

/** Whatever it was wrapped into on its way. */
export function isPowerCut(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof PowerCut) return true;
  return false;
}
