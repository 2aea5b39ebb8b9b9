/** One device of the rig: its disk, its engine and clock, and the program while it runs. */
import { createSealedKeystore, openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys } from '../../../src/adapters/keystore/store-keys.ts';
import { MemoryDisk } from '../../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
import type { Party } from '../../../src/entities/pair-keys.ts';
import type { Membership } from '../../../src/entities/roster/membership.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { loadMesh } from '../../../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../../../src/usecases/messaging/messenger.ts';
import type { Incident } from '../../../src/usecases/messaging/office.ts';
import type { Clock } from '../../../src/usecases/ports/clock.ts';
import type { Account } from '../../../src/usecases/ports/engine.ts';
import type { Keystore } from '../../../src/usecases/ports/keystore.ts';
import type { PairRecord } from '../../../src/usecases/ports/records.ts';
import type { Transport } from '../../../src/usecases/ports/transport.ts';
import type { Seeded } from '../../simulation/seeded.ts';
import { type Founder, logChanges } from '../../support/found-mesh.ts';
import type { HookedEngine } from './hooked-engine.ts';

export interface RigDeviceParts {
  readonly name: string;
  readonly engine: HookedEngine;
  readonly clock: Clock;
  readonly seeded: Seeded;
  readonly transport: (self: Party) => Transport;
}

interface Running {
  readonly messenger: Messenger;
  readonly keystore: Keystore;
  readonly account: Account;
}

const pickleKey = new Secret(new Uint8Array(32).fill(9));
const storeKeys = deriveStoreKeys(
  nodePrimitives.mac,
  new Secret(new Uint8Array(32).fill(7)),
  new Uint8Array(16),
);

export class RigDevice {
  readonly name: string;
  readonly engine: HookedEngine;
  readonly party: Party;
  /** Its keys, for what it signs while it does not run. */
  readonly founder: Founder;
  disk = new MemoryDisk();
  readonly #parts: RigDeviceParts;
  #running: Running | undefined;
  /** Why the program ended, where it did. */
  fatal: unknown;
  /** Set by tests in which the program is to end by itself. */
  mayEnd = false;
  readonly incidents: Incident[] = [];

  private constructor(parts: RigDeviceParts, founder: Founder) {
    this.name = parts.name;
    this.engine = parts.engine;
    this.founder = founder;
    this.party = founder.self;
    this.#parts = parts;
  }

  static async make(parts: RigDeviceParts): Promise<RigDevice> {
    const account = parts.engine.createAccount();
    const { keys } = account;
    const self = { id: deriveDeviceId(nodePrimitives.hash, keys), keys };
    const device = new RigDevice(parts, { self, account, name: parts.name });
    const keystore = await createSealedKeystore(device.#storeParts());
    await keystore.commit([{ kind: 'account', key: 'self', put: account.pickle(pickleKey) }]);
    await keystore.close();
    return device;
  }

  /** A device with the same keys and store, as a copied disk makes one. */
  clone(name: string): RigDevice {
    const copy = new RigDevice({ ...this.#parts, name }, this.founder);
    copy.disk.restore(this.disk.image());
    return copy;
  }

  #storeParts() {
    const { seeded, clock } = this.#parts;
    return {
      database: this.disk.database(),
      anchor: this.disk.anchor(),
      keys: storeKeys,
      primitives: nodePrimitives,
      randomness: (length: number) => seeded.bytes(length),
      clock,
    };
  }

  get id() {
    return this.party.id;
  }

  get messenger(): Messenger {
    if (this.#running === undefined) throw new Error(`${this.name} is not running`);
    return this.#running.messenger;
  }

  get keystore(): Keystore {
    if (this.#running === undefined) throw new Error(`${this.name} is not running`);
    return this.#running.keystore;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  async start(): Promise<void> {
    const keystore = await openSealedKeystore(this.#storeParts());
    const pickle = await keystore.read('account', 'self');
    if (pickle === undefined) throw new Error('a device without an account');
    const account = this.engine.restoreAccount(pickle, pickleKey);
    this.fatal = undefined;
    const { clock, seeded } = this.#parts;
    const messenger = await createMessenger({
      engine: this.engine,
      ...nodePrimitives,
      clock,
      randomness: (length) => seeded.bytes(length),
      keystore,
      transport: this.#parts.transport(this.party),
      self: this.party,
      account,
      pickleKey,
      membership: await loadMesh(nodePrimitives.hash, keystore),
      fatal: (error) => {
        this.fatal = error;
      },
    });
    messenger.listen((news) => {
      if (news.kind === 'incident') this.incidents.push(news.incident);
    });
    this.#running = { messenger, keystore, account };
    messenger.open();
  }

  /** The power goes. */
  crash(): void {
    this.#running?.messenger.abandon();
    this.#running?.account.dispose();
    this.disk.cutPower();
    this.#running = undefined;
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { messenger, keystore, account } = this.#running;
    this.#running = undefined;
    await messenger.close();
    await keystore.close();
    account.dispose();
  }

  /** Opens the store of a device that does not run. */
  async withStore<T>(work: (keystore: Keystore) => Promise<T>): Promise<T> {
    if (this.running) throw new Error(`${this.name} is running`);
    const keystore = await openSealedKeystore(this.#storeParts());
    const result = await work(keystore);
    await keystore.close();
    return result;
  }

  /** What the store holds of the pair with another device. */
  async pair(other: RigDevice): Promise<PairRecord> {
    const record = await this.#running?.keystore.read('pair', other.id);
    if (record === undefined) throw new Error(`${this.name} holds nothing about ${other.name}`);
    return record;
  }

  /** All that is committed, in a form that can be compared. */
  committed(): string {
    const entries = [...this.disk.rawEntries()].map(([name, value]) => `${name} ${toHex(value)}`);
    return entries.sort().join('\n');
  }

  /** Makes this the mesh that the device is in. */
  async enter(membership: Membership): Promise<void> {
    await this.withStore((keystore) => keystore.commit(logChanges(keystore, membership)));
  }

  /** Changes what the store of a device that does not run holds of a pair. */
  async editPair(other: RigDevice, change: Partial<PairRecord>): Promise<void> {
    await this.withStore(async (keystore) => {
      const record = await keystore.read('pair', other.id);
      if (record === undefined) throw new Error(`${this.name} holds nothing about ${other.name}`);
      await keystore.commit([{ kind: 'pair', key: other.id, put: { ...record, ...change } }]);
    });
  }

  /** How many commits its store has seen. */
  get position(): number {
    return this.#running?.keystore.position().number ?? 0;
  }

  /** How often something was dropped or refused for this reason. */
  count(reason: string): number {
    return this.messenger.status().counts[reason] ?? 0;
  }
}
