/** One device of the simulation: its disk, and the program while it runs. */

import { createSealedKeystore, openSealedKeystore } from '../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys, type StoreKeys } from '../../src/adapters/keystore/store-keys.ts';
import { type DiskImage, MemoryDisk, PowerCut } from '../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { equal } from '../../src/entities/bytes.ts';
import { deriveDeviceId } from '../../src/entities/device-id.ts';
import { parseDeviceName } from '../../src/entities/device-name.ts';
import { meshIdBytes } from '../../src/entities/mesh-id.ts';
import type { Party } from '../../src/entities/pair-keys.ts';
import { type InviteLink, LINK_MESH_BYTES } from '../../src/entities/pairing/link.ts';
import type { Membership } from '../../src/entities/roster/membership.ts';
import { Secret } from '../../src/entities/secret.ts';
import { type Administration, createAdministration } from '../../src/usecases/membership/administer.ts';
import { createGroups, type Groups } from '../../src/usecases/membership/groups.ts';
import { loadMesh } from '../../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../../src/usecases/messaging/messenger.ts';
import { createJoining, type Joining, type JoinResult } from '../../src/usecases/pairing/joining.ts';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { Account } from '../../src/usecases/ports/engine.ts';
import type { Keystore } from '../../src/usecases/ports/keystore.ts';
import type { InviteRecord } from '../../src/usecases/ports/records.ts';
import type { Transport } from '../../src/usecases/ports/transport.ts';
import { type Founder, foundMesh, logChanges } from '../support/found-mesh.ts';
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
  readonly groups: Groups;
}

/** What runs while it is on its way into a mesh. */
interface Crossing {
  readonly joining: Joining;
  readonly account: Account;
  readonly keystore: Keystore;
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
  #crossing: Crossing | undefined;
  #link: InviteLink | undefined;
  /** What its screen asks to have typed at the inviter. */
  code: string | undefined;
  /** How joining has ended, for whoever has waited for it. */
  joined: JoinResult | undefined;
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

  /** Makes the device's keys and its store, in a mesh of its own. */
  async make(): Promise<void> {
    const account = this.engine.createAccount();
    const keystore = await createSealedKeystore(this.#storeParts());
    const { keys } = account;
    const self = { id: deriveDeviceId(nodePrimitives.hash, keys), keys };
    this.#founder = { self, account, name: this.name };
    const random = (length: number) => this.#parts.seeded.bytes(length);
    const now = Math.floor(this.#parts.clock.now());
    const alone = foundMesh({ engine: this.engine, now, random }, [this.#founder]);
    await keystore.commit([
      { kind: 'account', key: 'self', put: account.pickle(this.#pickleKey) },
      ...logChanges(keystore, alone),
    ]);
    await keystore.close();
  }

  /** Makes this the mesh that the device is in. */
  async enter(membership: Pick<Membership, 'log'>): Promise<void> {
    const keystore = await openSealedKeystore(this.#storeParts());
    await keystore.commit(logChanges(keystore, membership));
    await keystore.close();
  }

  /** The person has shown it a link; from its next start on it joins. */
  intend(link: InviteLink): void {
    this.#link = link;
    this.code = undefined;
    this.joined = undefined;
  }

  /** Goes on with what was begun, and does for the mesh that it is in what its program does there. */
  async start(): Promise<void> {
    const opened = await openSealedKeystore(this.#storeParts());
    const link = this.#link;
    if (link !== undefined) {
      const { mesh, roster } = await loadMesh(nodePrimitives.hash, opened);
      const isThere = equal(meshIdBytes(mesh).subarray(0, LINK_MESH_BYTES), link.mesh);
      const pending = await opened.read('joining', 'self');
      if (pending !== undefined || !isThere || !roster.members.has(this.party.id)) {
        return this.#join(opened, link, pending !== undefined);
      }
      // It had become a member, and the power went before it could say so.
      this.#link = undefined;
      this.joined = { ok: { mesh, members: [...roster.members].sort() } };
    }
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
    const groups = createGroups({ self: this.party.id, log: messenger.log });
    this.#running = { messenger, account, keystore, administration, groups };
    messenger.open();
  }

  async #join(keystore: Keystore, link: InviteLink, hasBegun: boolean): Promise<void> {
    const pickle = await keystore.read('account', 'self');
    const name = parseDeviceName(this.name);
    if (pickle === undefined || 'refused' in name) throw new Error('a device that is none');
    const account = this.engine.restoreAccount(pickle, this.#pickleKey);
    const joining = createJoining({
      engine: this.engine,
      ...nodePrimitives,
      clock: this.#parts.clock,
      randomness: (length) => this.#parts.seeded.bytes(length),
      keystore,
      transport: this.#parts.transport(this.party),
      device: { self: this.party, account, pickleKey: this.#pickleKey },
      name: name.ok,
      tell: (event) => {
        if (event.kind === 'code') this.code = event.code;
      },
    });
    const crossing = { joining, account, keystore };
    this.#crossing = crossing;
    const work = hasBegun ? joining.resume() : joining.start(link);
    work
      .then(async (result) => {
        if (this.#crossing !== crossing) return;
        if (result === undefined) throw new Error('a joining that was begun is not there');
        await keystore.close();
        if (this.#crossing !== crossing) return;
        this.#link = undefined;
        this.joined = result;
        this.#gone();
      })
      .catch((error: unknown) => {
        if (this.#crossing === crossing) this.fatal = error;
      });
  }

  /** What the person at a device that joins can call off. */
  get joining(): Joining | undefined {
    return this.#crossing?.joining;
  }

  /** Between two meshes, whether or not it runs. */
  get isJoining(): boolean {
    return this.#link !== undefined;
  }

  /** What this device keeps of one of its invites. */
  async invite(id: string): Promise<InviteRecord | undefined> {
    return this.#running?.keystore.read('invite', id);
  }

  get messenger(): Messenger | undefined {
    return this.#running?.messenger;
  }

  /** What a person at this device does about the membership. */
  get administration(): Administration | undefined {
    return this.#running?.administration;
  }

  /** And about named groups. */
  get groups(): Groups | undefined {
    return this.#running?.groups;
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
    return this.#running !== undefined || this.#crossing !== undefined;
  }

  /** The power goes. */
  crash(): void {
    this.messenger?.abandon();
    this.joining?.stop();
    this.disk.cutPower();
    this.#gone();
  }

  async stop(): Promise<void> {
    // For a device that joins the one is as good as the other.
    if (this.#crossing !== undefined) return this.crash();
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
    this.#crossing?.account.dispose();
    this.#running = undefined;
    this.#crossing = undefined;
    this.fatal = undefined;
  }
}

/** Whatever it was wrapped into on its way. */
export function isPowerCut(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof PowerCut) return true;
  return false;
}
