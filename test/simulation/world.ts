/**
 * A whole mesh in one process: real use cases, real engine, a virtual clock, Mallory as the broker, crashes and
 * restored backups, devices that come and go, and some that she has stolen. After every step it is checked that
 * nothing was shown that is not committed and that rosters are what they should be; at the end, after a fair phase,
 * that everything accepted has ended, each once, in order, and that all that belong together hold the same log.
 * What is encrypted for groups is kept by an eavesdropper, who must be able to read nothing with any key that was not
 * for its holder.
 *
 * Long, because what happens to packets and messages is checked where it happens; what people, traitors and the
 * rosters do has files of its own.
 */
import { createHash } from 'node:crypto';
import { VirtualClock } from '../../src/adapters/memory/virtual-clock.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { MeshId } from '../../src/entities/mesh-id.ts';
import { pairContext } from '../../src/entities/pair-keys.ts';
import type { Circle } from '../../src/entities/roster/circle.ts';
import type { EntryHash } from '../../src/entities/roster/entry.ts';
import { decodeEnvelope } from '../../src/entities/wire/envelope.ts';
import type { AckItem } from '../../src/entities/wire/items.ts';
import { decodeCore, decodeParcel } from '../../src/entities/wire/parcel.ts';
import type { Delivery, Receipt } from '../../src/usecases/messaging/outbox.ts';
import { CONTENT_NONCE } from '../../src/usecases/messaging/sealing.ts';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import type { PairRecord } from '../../src/usecases/ports/records.ts';
import { foundMesh } from '../support/found-mesh.ts';
import { ABOUT_GROUPS, type Circles, createCircles, type GroupDeed, othersIn } from './circles.ts';
import { type BegunSession, createEavesdropper, type Eavesdropper } from './eavesdropper.ts';
import { mayHaveBeenOutside } from './group-rules.ts';
import { Mallory, type Packet } from './mallory.ts';
import { createPairings, type Pairing, type Pairings } from './pairings.ts';
import { createPeople, type Deed, PEOPLE, type People } from './people.ts';
import { createRosterWatch, type RosterWatch } from './roster-watch.ts';
import { Seeded } from './seeded.ts';
import { isPowerCut, SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';
import { createTraitors, type Traitors } from './traitors.ts';
import { Ledger, WatchedEngine } from './watched-engine.ts';

export interface SimulationSettings {
  readonly seed: number;
  readonly devices: number;
  readonly steps: number;
  /** Whether disks are put back to older states. */
  readonly rollbacks?: boolean;
  /** Whether devices come and go, and are stolen. */
  readonly membership?: boolean;
}

export interface Outcome {
  readonly trace: string;
  readonly accepted: number;
  readonly delivered: number;
  readonly packets: number;
  readonly problem: string | undefined;
}

/** What was accepted for one recipient. */
interface Promised {
  readonly id: string;
  readonly from: SimDevice;
  readonly to: SimDevice;
  readonly order: number;
  readonly payload: string;
  readonly group: Circle | null;
  /** Either end lost its memory of it, so it may arrive never, once, or once more. */
  excused: boolean;
  cancelled: boolean;
}

const CANARY = 'canary-payload';
const SPARES = 3;
const STAY: Readonly<Record<Deed, number>> = {
  join: 0,
  joinTwice: 0,
  joinTwo: 0,
  joinAndRevoke: 0,
  compare: 0,
  revoke: 0,
  revokeEachOther: 0,
  revokeInRing: 0,
  leave: 0,
  rename: 0,
  away: 0,
};
const NO_GROUPS: Readonly<Record<GroupDeed, number>> = {
  group: 0,
  put: 0,
  take: 0,
  takeAndPut: 0,
  contend: 0,
  call: 0,
  dissolve: 0,
};
/** Reasons why nothing can be sent to where there was somebody a moment ago. */
const NOBODY_LEFT: readonly string[] = ['unknown-recipient', 'unknown-group', 'no-recipient'];
const STATES_UNDER_WAY: readonly (string | undefined)[] = ['accepted', 'published'];

export class Problem extends Error {}

export async function simulate(settings: SimulationSettings): Promise<Outcome> {
  const world = new World(settings);
  let problem: string | undefined;
  try {
    await world.build();
    for (let step = 0; step < settings.steps; step++) await world.step(step);
    await world.finish();
  } catch (error) {
    if (!(error instanceof Problem)) {
      problem = `a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    } else problem = error.message;
  }
  return { ...world.summary(), problem };
}

class World implements Stage {
  readonly #settings: SimulationSettings;
  readonly seeded: Seeded;
  readonly clock = new VirtualClock();
  readonly #trace = createHash('sha256');
  readonly mallory: Mallory;
  readonly #ledger = new Ledger((before, now) => this.#onKeyReuse(before, now));
  #engine: Engine | undefined;
  #mesh: MeshId | undefined;
  readonly devices: SimDevice[] = [];
  readonly spares: SimDevice[] = [];
  readonly stolen: SimDevice[] = [];
  readonly records = {
    asked: new Set<DeviceId>(),
    vouched: new Set<EntryHash>(),
    pairings: [] as Pairing[],
    additions: [],
    pressed: new Set<EntryHash>(),
    revocations: new Map(),
    entries: new Map(),
    names: new Set<string>(),
    rolledBack: new Set<SimDevice>(),
    groupSessions: [] as readonly BegunSession[],
  };
  readonly #pairings: Pairings;
  readonly #people: People;
  readonly #traitors: Traitors;
  readonly #watch: RosterWatch;
  readonly #circles: Circles;
  readonly #eavesdropper: Eavesdropper;
  readonly #promised = new Map<string, Promised>();
  #order = 0;
  #packets = 0;
  #delivered = 0;
  #stepNow = 0;
  #failure: Problem | undefined;
  #ticks = 0;
  /** When a ciphertext was read, and for whom it was. */
  readonly #readAt = new Map<string, number>();
  readonly #addressee = new Map<string, DeviceId>();
  readonly #author = new Map<string, DeviceId>();
  /** Whom a parcel is for, by the context that stands in it. */
  readonly #contexts = new Map<string, DeviceId>();
  readonly #startedAt = new Map<DeviceId, number>();
  /** Their power goes at a write that is yet to come. */
  readonly #doomed = new Set<SimDevice>();

  constructor(settings: SimulationSettings) {
    this.#settings = settings;
    this.seeded = new Seeded(settings.seed);
    this.mallory = new Mallory(this.seeded, this.clock, (packet) => this.#onPublish(packet));
    this.#pairings = createPairings(this, (problem) => this.#fail(problem));
    this.#people = createPeople(this, this.#pairings);
    this.#traitors = createTraitors(this);
    this.#watch = createRosterWatch(this, (problem) => this.#fail(problem));
    this.#circles = createCircles(this, () => this.#people.writers());
    this.#eavesdropper = createEavesdropper({
      engine: () => this.#realEngine(),
      hash: nodePrimitives.hash,
      nameOf: (id) => this.#everybody().find(({ party }) => party.id === id)?.name ?? id,
      fail: (problem) => this.#fail(problem),
    });
    this.records.groupSessions = this.#eavesdropper.sessions;
  }

  summary(): Omit<Outcome, 'problem'> {
    return {
      trace: this.#trace.digest('hex').slice(0, 16),
      accepted: this.#promised.size,
      delivered: this.#delivered,
      packets: this.#packets,
    };
  }

  async build(): Promise<void> {
    this.#engine = await loadEngine((length) => this.seeded.bytes(length));
    const names = [
      "Alice's laptop",
      "Alice's phone",
      'the Pi',
      'the tablet',
      'the desk',
      'the boat',
      'the shed',
    ];
    for (let i = 0; i < this.#settings.devices; i++) {
      this.devices.push(await this.make(names[i] ?? `device ${i}`));
    }
    const random = (length: number) => this.seeded.bytes(length);
    const founders = this.devices.map(({ founder }) => founder);
    const membership = foundMesh(
      { engine: this.#engine, now: Math.floor(this.clock.now()), random },
      founders,
    );
    this.#mesh = membership.mesh;
    for (const hash of membership.log.keys()) this.records.vouched.add(hash);
    for (const device of this.devices) {
      this.records.asked.add(device.party.id);
      await device.enter(membership);
    }
    if (this.#settings.membership !== false) {
      for (let i = 0; i < SPARES; i++) this.spares.push(await this.make(`newcomer ${i}`));
    }
    for (const device of this.devices) await this.start(device);
    await this.settle();
    if (this.#settings.membership === false) return;
    // So that there is somebody to be taken out of one from the beginning.
    for (let i = 0; i < 2; i++) this.#circles.do('group');
    await this.settle();
  }

  #realEngine(): Engine {
    if (this.#engine === undefined) throw new Error('the world was not built');
    return this.#engine;
  }

  #everybody(): SimDevice[] {
    return [...this.devices, ...this.spares, ...this.stolen];
  }

  async make(name: string): Promise<SimDevice> {
    const real = this.#realEngine();
    const device: SimDevice = new SimDevice({
      name,
      engine: (self) =>
        new WatchedEngine(real, this.#ledger, {
          onReading: (body) => this.#onReading(self, body),
          onRead: (body) => this.#readAt.set(toHex(body), ++this.#ticks),
          onWritten: (plaintext) => this.#onWritten(self, plaintext),
          onGroupSession: (id, key) => this.#traitors.hearOf(this.#eavesdropper.begun(self, id, key)),
          onGroupText: (id, index, ciphertext) => this.#eavesdropper.wrote(self, id, index, ciphertext),
        }),
      clock: this.clock,
      seeded: this.seeded,
      transport: (self) => this.mallory.transport(self.id),
      complain: (problem) => this.#fail(problem),
    });
    await device.make();
    this.records.names.add(name);
    return device;
  }

  async start(device: SimDevice): Promise<void> {
    this.#startedAt.set(device.party.id, ++this.#ticks);
    try {
      await device.start();
    } catch (error) {
      if (!isPowerCut(error)) throw error;
      device.crash();
      await device.start();
    }
    this.say('start', device.name);
  }

  async step(number: number): Promise<void> {
    this.#stepNow = number;
    const people = this.#settings.membership !== false;
    const action = this.seeded.weighted({
      ...(people ? PEOPLE : STAY),
      ...(people ? ABOUT_GROUPS : NO_GROUPS),
      rotate: 1,
      steal: people && this.stolen.length === 0 ? 1.5 : 0,
      traitor: this.stolen.length > 0 ? 37 : 0,
      send: 40,
      deliver: 60,
      time: 30,
      // Links do not live for long: a person who pairs two devices stays with them, and time goes by.
      ...(this.#pairings.isOpen() ? { compare: 60, time: 80, deliver: 90 } : {}),
      crash: 5,
      cutInCommit: 5,
      stop: 2,
      start: 8,
      disconnect: 5,
      forget: 1,
      replay: 5,
      replayAll: 1,
      redirect: 4,
      forge: 3,
      apart: 2,
      reunite: 2,
      cancel: 2,
      jump: 1,
      image: 2,
      restore: this.#settings.rollbacks === false ? 0 : 1,
    });
    this.say('step', action);
    await this.#act(action);
    await this.settle();
    await this.#pairings.tend();
    await this.settle();
    this.#check();
  }

  async #act(action: string): Promise<void> {
    const device = this.seeded.pick(this.devices);
    const ids = [...this.devices, ...this.stolen].map((other) => other.party.id);
    if (action in PEOPLE) return this.#people.do(action as Deed);
    if (action in ABOUT_GROUPS) return this.#circles.do(action as GroupDeed);
    switch (action) {
      case 'rotate':
        return this.#circles.rotate(device);
      case 'steal':
        return this.#steal();
      case 'traitor':
        return this.#traitors.act();
      case 'send':
        for (let i = this.seeded.below(4); i >= 0; i--) this.#send(device);
        return;
      case 'deliver':
        for (let i = this.seeded.below(12); i >= 0; i--) {
          this.mallory.deliver();
          await this.settle();
        }
        return;
      case 'time': {
        const calls = this.seeded.below(10);
        for (let i = 0; i <= calls; i++) {
          this.clock.step();
          await this.settle();
        }
        return;
      }
      case 'crash':
        return this.crash(device);
      case 'cutInCommit': {
        const step = device.disk.steps + 1 + this.seeded.below(3);
        this.#doomed.add(device);
        device.disk.cutPowerAt(step, this.seeded.chance(0.5) ? 'before' : 'after');
        this.#send(device);
        return;
      }
      case 'stop':
        if (device.running) {
          this.mallory.unplug(device.party.id);
          await device.stop();
        }
        return;
      case 'start':
        for (const other of this.devices) if (!other.running) await this.start(other);
        return;
      case 'disconnect':
        return this.mallory.disconnect(device.party.id);
      case 'forget':
        return this.mallory.forget();
      case 'replay':
        return this.#replay();
      case 'replayAll':
        return this.mallory.replayAll(device.party.id);
      case 'redirect':
        return this.mallory.redirect(ids);
      case 'forge':
        return this.mallory.forge(ids);
      case 'apart':
        return this.mallory.keepApart(device.party.id, this.seeded.pick(this.devices).party.id, true);
      case 'reunite':
        return this.mallory.reunite();
      case 'cancel':
        return this.#cancel();
      case 'jump':
        return this.clock.jump((this.seeded.below(200) - 100) * 3_600_000);
      case 'image':
        // While it joins another mesh it is in neither: there is nothing yet that could come back as a member.
        if (device.isJoining) return;
        device.images.push({ image: device.disk.image(), step: this.#order });
        return;
      case 'restore':
        return this.#restore(device);
    }
  }

  crash(device: SimDevice): void {
    if (!device.running) return;
    this.mallory.unplug(device.party.id);
    device.crash();
  }

  /** What was promised by it and to it is nobody's concern any more. */
  async #steal(): Promise<void> {
    const device = await this.#traitors.steal();
    if (device === undefined) return;
    for (const [key, { from, to }] of this.#promised) {
      if (from === device || to === device) this.#promised.delete(key);
    }
  }

  /** An older copy of the disk comes back. */
  async #restore(device: SimDevice): Promise<void> {
    if (device.images.length === 0) return;
    const { image, step } = this.seeded.pick(device.images);
    this.crash(device);
    device.disk.restore(image);
    this.#watch.restored(device);
    this.#eavesdropper.restored(device);
    // Copies made after the one that came back belong to a life that is over, but may come back as well.
    this.records.rolledBack.add(device);
    for (const promised of this.#promised.values()) {
      if (promised.from === device && promised.order >= step) promised.excused = true;
      if (promised.to === device) promised.excused = true;
    }
    await this.start(device);
  }

  #send(from: SimDevice): void {
    const { messenger, membership } = from;
    if (messenger === undefined || membership === undefined) return;
    const to = this.#circles.addressees(from);
    if (to === undefined) return;
    const asked = othersIn(from, membership.roster, to);
    const size = this.seeded.weighted({ small: 20, medium: 3, large: 1, none: 1 });
    const order = this.#order++;
    const text = `${CANARY} ${order} `;
    const length = { small: 0, medium: 3000, large: 40_000, none: 0 }[size];
    const payload = new TextEncoder().encode(size === 'none' ? '' : text.padEnd(length, 'canary '));
    messenger.send({ to, payload }).then(
      (receipt) => {
        if ('refused' in receipt) {
          const left = othersIn(from, messenger.log.membership().roster, to);
          const may = messenger.farewell.standing() === 'member' && left.size > 0;
          if (may || !NOBODY_LEFT.includes(receipt.refused))
            this.#fail(`send was refused: ${receipt.refused}`);
          return;
        }
        const id = toHex(receipt.ok.id);
        this.#checkAddressed(from, to, asked, receipt.ok);
        for (const { deviceId } of receipt.ok.to) {
          const device = this.devices.find(({ party }) => party.id === deviceId);
          if (device === undefined || from.stolen) continue;
          this.#promised.set(`${id} ${device.name}`, {
            id,
            from,
            to: device,
            order,
            payload: digest(payload),
            group: typeof to === 'string' ? to : null,
            excused: false,
            cancelled: false,
          });
        }
        this.say('accepted', id);
      },
      (error: unknown) => this.#fail(`send failed: ${String(error)}`),
    );
  }

  /** All that were in the circle then and are now, and nobody else. */
  #checkAddressed(
    from: SimDevice,
    circle: readonly DeviceId[] | Circle,
    before: ReadonlySet<DeviceId>,
    { to }: Receipt,
  ): void {
    if (typeof circle !== 'string' || from.membership === undefined) return;
    const now = othersIn(from, from.membership.roster, circle);
    const addressed = new Set(to.map(({ deviceId }) => deviceId));
    if ([...addressed].some((id) => !before.has(id) && !now.has(id)))
      this.#fail(`groups, delivery: ${from.name} addressed somebody who is not in the group`);
    if ([...before].some((id) => now.has(id) && !addressed.has(id)))
      this.#fail(`groups, delivery: ${from.name} has left out somebody who is in the group`);
  }

  async #cancel(): Promise<void> {
    const open = [...this.#promised.values()].filter((promised) => promised.from.running);
    if (open.length === 0) return;
    const promised = this.seeded.pick(open);
    const id = Uint8Array.from(Buffer.from(promised.id, 'hex'));
    promised.from.messenger?.cancel(id).then(
      () => undefined,
      (error: unknown) => this.#fail(`cancel failed: ${String(error)}`),
    );
    for (const other of this.#promised.values()) if (other.id === promised.id) other.cancelled = true;
  }

  /** All promises that can resolve have resolved; whoever ended is restarted or stays down. */
  async settle(): Promise<void> {
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    // Packets are read in a turn of their own, at once.
    while (this.clock.untilNext() === 0) {
      this.clock.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const device of this.devices) {
      if (device.fatal === undefined) continue;
      const cause = device.fatal;
      if (!isPowerCut(cause)) this.#fail(`${device.name} ended: ${describe(cause)}`);
      this.mallory.unplug(device.party.id);
      device.crash();
      // Whoever joins is started again by a person.
      if (!device.isJoining) await this.start(device);
    }
    for (const device of this.stolen) {
      if (device.fatal === undefined) continue;
      if (!isPowerCut(device.fatal)) this.#fail(`${device.name} ended: ${describe(device.fatal)}`);
      this.crash(device);
    }
  }

  #check(): void {
    this.#watch.check();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #onPublish(packet: Packet): void {
    this.#packets++;
    this.say('packet', packet.from, packet.to, digest(packet.bytes));
    const text = Buffer.from(packet.bytes).toString('latin1');
    if (text.includes(CANARY)) this.#fail('P2: a payload left in the clear');
    for (const name of this.records.names) {
      if (text.includes(name)) this.#fail('P2: a name left in the clear');
    }
    const decoded = decodeEnvelope(packet.bytes);
    if ('refused' in decoded) return this.#fail(`a device sent what cannot be read: ${decoded.refused}`);
    const { envelope } = decoded.ok;
    if (envelope.kind === 'sealed' || envelope.kind === 'initial') {
      this.#addressee.set(toHex(envelope.body), packet.to);
      this.#author.set(toHex(envelope.body), packet.from);
    }
    const sender = this.devices.find((device) => device.party.id === packet.from);
    if (sender === undefined) return;
    // Notices go to devices with which nothing is shared any more.
    if (envelope.kind === 'notice' || envelope.kind === 'pairing') return;
    if (sender.committed.removed.has(packet.to)) {
      return this.#fail(`P4: ${sender.name} sent a ${envelope.kind} to a device that it has removed`);
    }
    const pair = sender.committed.pairs.get(packet.to);
    if (pair === undefined) return this.#fail('a packet left before anything about its pair was committed');
    if (envelope.kind !== 'sealed') {
      if (pair.serial < envelope.serial) this.#fail('a signed packet left before its number was committed');
    } else {
      const tag = toHex(envelope.session);
      const session = pair.sessions.find((held) => held.id.startsWith(tag));
      const known = session === undefined ? pair.retired.some((id) => id.startsWith(tag)) : true;
      if (!known) this.#fail('a packet left in a session that was never committed');
      if (session !== undefined && session.sent < envelope.counter) {
        this.#fail('a packet left before its counter was committed');
      }
    }
    if (envelope.kind === 'sealed' || envelope.kind === 'initial') {
      this.#lookInside(sender, packet.to, envelope, pair);
    }
  }

  #lookInside(
    sender: SimDevice,
    to: DeviceId,
    envelope: { readonly body: Uint8Array; readonly attached: readonly Uint8Array[] },
    pair: PairRecord,
  ): void {
    this.#ledger.left(envelope.body);
    const plaintext = this.#ledger.plaintextOf(envelope.body);
    if (plaintext === undefined) return;
    const core = decodeCore(plaintext);
    if ('refused' in core) return this.#fail(`a device encrypted what cannot be read: ${core.refused}`);
    const [beside] = envelope.attached;
    const padded =
      'inside' in core.ok
        ? core.ok.inside
        : nodePrimitives.cipher.open({
            key: core.ok.key,
            nonce: CONTENT_NONCE,
            aad: core.ok.context,
            data: beside ?? new Uint8Array(),
          });
    const parcel = padded === undefined ? undefined : decodeParcel(padded);
    if (parcel === undefined || 'refused' in parcel) return this.#fail('a parcel that cannot be read');
    const attached = new Set(envelope.attached.map((bytes) => toHex(nodePrimitives.hash(bytes))));
    for (const item of parcel.ok.items) {
      if (item.kind === 'ack') this.#checkAck(item, pair);
      if (item.kind === 'group-keys') {
        for (const key of item.keys) this.#eavesdropper.onKey(sender, to, key);
      }
      for (const record of item.kind === 'batch' ? item.records : []) {
        if (record.kind === 'group') this.#eavesdropper.onRecord(sender, record, attached);
      }
    }
  }

  #checkAck(item: AckItem, { incoming }: PairRecord): void {
    const durable = incoming !== null && toHex(incoming.id) === toHex(item.stream) ? incoming.through : 0;
    if (durable < item.through) this.#fail('P3: an acknowledgement left before its messages were committed');
  }

  /** What a device has read in this life of its program makes it do nothing when it comes again. */
  async #replay(): Promise<void> {
    const begunBefore = this.#ledger.begun;
    const packet = this.mallory.replay();
    const decoded = packet === undefined ? undefined : decodeEnvelope(packet.bytes);
    if (decoded === undefined || 'refused' in decoded) return;
    const { envelope } = decoded.ok;
    const body = envelope.kind === 'sealed' || envelope.kind === 'initial' ? envelope.body : undefined;
    if (body === undefined || !this.#wasReadInThisLife(body)) return;
    await this.settle();
    if (this.#ledger.begun !== begunBefore) this.#fail('a replay made a device begin a session');
  }

  #wasReadInThisLife(body: Uint8Array): boolean {
    const name = toHex(body);
    const to = this.#addressee.get(name);
    const readAt = this.#readAt.get(name);
    return to !== undefined && readAt !== undefined && readAt > (this.#startedAt.get(to) ?? 0);
  }

  #onReading(device: SimDevice, body: Uint8Array): void {
    if (device.stolen) return;
    const author = this.#author.get(toHex(body));
    if (author !== undefined && device.membership?.roster.standing.removed.has(author)) {
      this.#fail(`P4: ${device.name} reads what comes from a device that it has removed`);
    }
    if (this.#wasReadInThisLife(body)) this.#fail('P2: a replay reached the ratchet');
  }

  #onWritten(device: SimDevice, plaintext: Uint8Array): void {
    const core = decodeCore(plaintext);
    if (device.stolen || 'refused' in core) return;
    const parcel = 'inside' in core.ok ? decodeParcel(core.ok.inside) : core;
    if ('refused' in parcel) return this.#fail('a device encrypted what cannot be read');
    const context = 'context' in parcel.ok ? toHex(parcel.ok.context) : '';
    if (!this.#contexts.has(context)) this.#learnContexts();
    const to = this.#contexts.get(context);
    if (to === undefined) return this.#fail('a device encrypted something for nobody');
    if (device.membership?.roster.standing.removed.has(to)) {
      this.#fail(`P4: ${device.name} encrypted something for a device that it has removed`);
    }
  }

  #learnContexts(): void {
    const all = this.#everybody();
    const mesh = this.#mesh;
    if (mesh === undefined) return;
    for (const from of all) {
      for (const to of all) {
        const context = pairContext(nodePrimitives.hash, mesh, from.party, to.party);
        this.#contexts.set(toHex(context), to.party.id);
      }
    }
  }

  #onKeyReuse(before: Uint8Array, now: Uint8Array): void {
    if (this.records.rolledBack.size === 0) return this.#fail('a message key encrypted two plaintexts');
    // An old copy of a device cannot know what it encrypted in the life it has forgotten; its texts then have
    // nothing in common, because each begins with random bytes.
    if (toHex(before.subarray(2, 18)) === toHex(now.subarray(2, 18))) this.#fail('a salt was used twice');
  }

  /** Everybody up, everybody honest, until nothing moves any more; then the books are compared. */
  async finish(): Promise<void> {
    this.say('finish');
    this.mallory.fair = true;
    this.mallory.reunite();
    for (const device of this.stolen) this.crash(device);
    for (const device of this.#doomed) {
      this.crash(device);
      device.disk.cutPower();
    }
    for (const device of this.devices) {
      if (!device.running) await this.start(device);
      this.mallory.connect(device.party.id);
    }
    await this.settle();
    if (this.seeded.chance(0.7)) this.#people.cleanUp();
    await this.settle();
    const limit = 20_000;
    let quiet = 0;
    for (let i = 0; i < limit && quiet < 4; i++) {
      let moved = false;
      await this.#pairings.tend();
      while (this.mallory.deliver()) {
        moved = true;
        if (this.seeded.chance(0.3)) await this.settle();
      }
      await this.settle();
      this.#check();
      if (!moved && this.mallory.waiting === 0) {
        this.#pairings.conclude();
        for (const device of this.devices) if (!device.running) await this.start(device);
        await this.settle();
        const open = this.devices.some((device) => this.#hasOpen(device)) || this.#pairings.isOpen();
        quiet = open || this.#watch.unrest() !== undefined ? 0 : quiet + 1;
        if (!this.clock.step()) break;
      }
      await this.settle();
      this.#check();
    }
    this.#watch.check(true);
    const unrest = this.#watch.unrest();
    if (unrest !== undefined) this.#fail(`P5: ${unrest}\n${this.#watch.table()}`);
    for (const pairing of this.records.pairings) await this.#watch.judgePairing(pairing);
    this.#check();
    await this.#compareBooks();
  }

  #takesPart(device: SimDevice): boolean {
    return device.isMember && !this.#watch.isAdrift(device);
  }

  /** Something still waits for a device of the person's that is a member as well. */
  #hasOpen(device: SimDevice): boolean {
    const { messenger, membership } = device;
    if (messenger === undefined || membership === undefined || !this.#takesPart(device)) return false;
    const here = (id: DeviceId): boolean => {
      return this.devices.some((other) => other.party.id === id && this.#takesPart(other));
    };
    return messenger.outbox().some(({ to }) =>
      to.some(({ deviceId, state }) => {
        const waits = STATES_UNDER_WAY.includes(state);
        return waits && here(deviceId) && membership.roster.members.has(deviceId);
      }),
    );
  }

  async #compareBooks(): Promise<void> {
    const arrived = new Map<string, number>();
    for (const device of this.devices) {
      const lastOrder = new Map<string, number>();
      let position = { batch: 0, index: 0 };
      for (;;) {
        const messages = (await device.messenger?.inbox.read(position)) ?? [];
        if (messages.length === 0) break;
        for (const message of messages) {
          position = message.after;
          const key = `${toHex(message.id)} ${device.name}`;
          arrived.set(key, (arrived.get(key) ?? 0) + 1);
          const promised = this.#promised.get(key);
          if (promised === undefined) continue;
          if (promised.payload !== digest(message.payload)) this.#fail('P3: a payload arrived altered');
          if (promised.group !== message.group) this.#fail('groups, delivery: arrived as if for others');
          if (promised.from.party.id !== message.from) this.#fail('P2: a message arrived under a wrong name');
          const before = lastOrder.get(message.from) ?? -1;
          if (promised.order < before && !this.records.rolledBack.has(promised.from)) {
            this.#fail(`P3: messages from ${promised.from.name} arrived out of order`);
          }
          lastOrder.set(message.from, promised.order);
        }
      }
    }
    for (const [key, promised] of this.#promised) {
      const times = arrived.get(key) ?? 0;
      if (times > 0) this.#delivered++;
      if (times > 1)
        this.#fail(`P3: message ${promised.order} arrived ${times} times at ${promised.to.name}`);
      const receipt = await promised.from.messenger?.delivery(
        Uint8Array.from(Buffer.from(promised.id, 'hex')),
      );
      const end = receipt?.to.find(({ deviceId }) => deviceId === promised.to.party.id);
      const outcome = promised.excused ? this.#judgeExcused(end) : this.#judgeEnd(promised, end, times);
      if (outcome === undefined) continue;
      const where = `message ${promised.order} from ${promised.from.name} to ${promised.to.name}`;
      this.#fail(`P3: ${where} ${outcome}, arrived ${times} times\n${pairState(promised)}`);
    }
    this.#check();
  }

  /** Whatever was forgotten: between devices that do as they should nothing is beyond understanding. */
  #judgeExcused(end: Delivery | undefined): string | undefined {
    return end?.reason === 'not-understood' ? 'was not understood' : undefined;
  }

  /** What is wrong with how a message ended, if anything is. */
  #judgeEnd(
    { from, to, group, cancelled }: Promised,
    end: Delivery | undefined,
    times: number,
  ): string | undefined {
    const state = end?.state;
    // How it ended is remembered for a week of running time.
    if (state === undefined && this.clock.elapsed() > 7 * 86_400_000) return undefined;
    if (state === 'delivered') return times === 1 ? undefined : 'is said to be delivered and is not there';
    if (state === 'cancelled' && cancelled && times === 0) return undefined;
    if (state === 'failed' && end?.reason === 'revoked') {
      if (!from.membership?.roster.standing.removed.has(to.party.id)) return 'failed without a revocation';
      // An old copy of a device does not know what it sent in the life that it has forgotten.
      const knows = !this.records.rolledBack.has(from);
      return times > 0 && !end.mayHaveArrived && knows ? 'is said not to have arrived' : undefined;
    }
    if (state === 'failed' && end?.reason === 'not-in-group') {
      if (!mayHaveLost(from, group, to.party.id)) return 'failed, and was in the group all the time';
      const knows = !this.records.rolledBack.has(from);
      return times > 0 && !end.mayHaveArrived && knows ? 'is said not to have arrived' : undefined;
    }
    if (end?.reason === 'not-understood') return 'was not understood';
    // Who is no member sends nothing, and nothing goes to devices that nobody vouches for.
    const takesPart = this.#takesPart(from);
    if (!takesPart || !STATES_UNDER_WAY.includes(state)) {
      return takesPart ? `has ended as ${state}` : undefined;
    }
    // So does what is meant for a device that knows itself to be out, where the two have parted for good.
    const status = from.membership?.roster.devices.get(to.party.id)?.status;
    return status === 'void' || !this.#takesPart(to) ? undefined : `has not ended: ${state}`;
  }

  say(...words: readonly string[]): void {
    this.#trace.update(`${this.clock.elapsed()} ${words.join(' ')}\n`);
    if (process.env.SIMULATION_TRACE !== undefined) {
      process.stderr.write(`${this.#stepNow} ${this.clock.elapsed()} ${words.join(' ')}\n`);
    }
  }

  #fail(message: string): void {
    this.#failure ??= new Problem(`step ${this.#stepNow}: ${message}`);
  }
}

/** Whether this device has ever seen the other outside of the group, as far as its log can tell. */
function mayHaveLost({ membership }: SimDevice, group: Circle | null, device: DeviceId): boolean {
  if (membership === undefined || group === null) return false;
  const { log, roster } = membership;
  const entries = [...log.values()];
  return mayHaveBeenOutside(entries, group, device, (author) => {
    const additions = entries.filter(({ body }) => body.kind === 'add' && body.device === author);
    return (
      roster.devices.get(author)?.status !== 'member' || roster.forks.has(author) || additions.length > 1
    );
  });
}

/** What both ends hold of a pair, for whoever looks for the reason. */
function pairState({ from, to }: Promised): string {
  const end = (device: SimDevice, other: SimDevice): string => {
    const { sessions, outgoing, incoming, frozen, theirKeys, ourKeys } =
      device.committed.pairs.get(other.party.id) ?? {};
    const peer = device.messenger?.status().peers.find(({ deviceId }) => deviceId === other.party.id);
    const brief = (key: string, value: unknown): unknown =>
      value instanceof Uint8Array ? toHex(value).slice(0, 8) : key === 'secret' ? undefined : value;
    const state = { sessions, outgoing, incoming, frozen, theirKeys, ourKeys, peer };
    return `${device.name}: ${JSON.stringify(state, brief)} ${JSON.stringify(device.messenger?.status().counts)}`;
  };
  return `${end(from, to)}\n${end(to, from)}`;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
