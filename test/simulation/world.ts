/**
 * A whole mesh in one process: real use cases, real engine, a virtual clock, Mallory as the broker, crashes and
 * restored backups. After every step it is checked that nothing was shown that is not committed; at the end,
 * after a fair phase, that everything accepted has ended, each once, in order.
 */
import { createHash } from 'node:crypto';
import { VirtualClock } from '../../src/adapters/memory/virtual-clock.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { decodeEnvelope } from '../../src/entities/wire/envelope.ts';
import { decodeCore, decodeParcel } from '../../src/entities/wire/parcel.ts';
import { CONTENT_NONCE } from '../../src/usecases/messaging/sealing.ts';
import { foundMesh } from '../support/found-mesh.ts';
import { Mallory, type Packet } from './mallory.ts';
import { Seeded } from './seeded.ts';
import { SimDevice } from './sim-device.ts';
import { WatchedEngine } from './watched-engine.ts';

export interface SimulationSettings {
  readonly seed: number;
  readonly devices: number;
  readonly steps: number;
  /** Whether disks are put back to older states. */
  readonly rollbacks?: boolean;
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
  /** Either end lost its memory of it, so it may arrive never, once, or once more. */
  excused: boolean;
  cancelled: boolean;
}

const CANARY = 'canary-payload';

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

class World {
  readonly #settings: SimulationSettings;
  readonly #seeded: Seeded;
  readonly #clock = new VirtualClock();
  readonly #trace = createHash('sha256');
  readonly #mallory: Mallory;
  #engine: WatchedEngine | undefined;
  #devices: SimDevice[] = [];
  readonly #promised = new Map<string, Promised>();
  readonly #rolledBack = new Set<SimDevice>();
  #order = 0;
  #packets = 0;
  #delivered = 0;
  #stepNow = 0;
  #failure: Problem | undefined;
  #ticks = 0;
  /** When a ciphertext was read, and for whom it was. */
  readonly #readAt = new Map<string, number>();
  readonly #addressee = new Map<string, DeviceId>();
  readonly #startedAt = new Map<DeviceId, number>();

  constructor(settings: SimulationSettings) {
    this.#settings = settings;
    this.#seeded = new Seeded(settings.seed);
    this.#mallory = new Mallory(this.#seeded, this.#clock, (packet) => this.#onPublish(packet));
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
    const real = await loadEngine((length) => this.#seeded.bytes(length));
    this.#engine = new WatchedEngine(real, {
      onKeyReuse: (before, now) => this.#onKeyReuse(before, now),
      onReading: (body) => this.#onReading(body),
      onRead: (body) => this.#readAt.set(toHex(body), ++this.#ticks),
    });
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
      const device: SimDevice = new SimDevice({
        name: names[i] ?? `device ${i}`,
        engine: this.#engine,
        clock: this.#clock,
        seeded: this.#seeded,
        transport: (self) => this.#mallory.transport(self.id),
      });
      await device.make();
      this.#devices.push(device);
    }
    const random = (length: number) => this.#seeded.bytes(length);
    const founders = this.#devices.map(({ founder }) => founder);
    const now = Math.floor(this.#clock.now());
    const membership = foundMesh({ engine: this.#engine, now, random }, founders);
    for (const device of this.#devices) await device.enter(membership);
    for (const device of this.#devices) await this.#start(device);
    await this.#settle();
  }

  async #start(device: SimDevice): Promise<void> {
    this.#startedAt.set(device.party.id, ++this.#ticks);
    await device.start();
    this.#say('start', device.name);
  }

  async step(number: number): Promise<void> {
    this.#stepNow = number;
    const action = this.#seeded.weighted({
      send: 40,
      deliver: 60,
      time: 30,
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
    this.#say('step', action);
    await this.#act(action);
    await this.#settle();
    this.#check();
  }

  async #act(action: string): Promise<void> {
    const device = this.#seeded.pick(this.#devices);
    const ids = this.#devices.map((other) => other.party.id);
    switch (action) {
      case 'send':
        for (let i = this.#seeded.below(4); i >= 0; i--) this.#send(device);
        return;
      case 'deliver':
        for (let i = this.#seeded.below(12); i >= 0; i--) {
          this.#mallory.deliver();
          await this.#settle();
        }
        return;
      case 'time': {
        const calls = this.#seeded.below(10);
        for (let i = 0; i <= calls; i++) {
          this.#clock.step();
          await this.#settle();
        }
        return;
      }
      case 'crash':
        return this.#crash(device);
      case 'cutInCommit': {
        const step = device.disk.steps + 1 + this.#seeded.below(3);
        device.disk.cutPowerAt(step, this.#seeded.chance(0.5) ? 'before' : 'after');
        this.#send(device);
        return;
      }
      case 'stop':
        if (device.running) {
          this.#mallory.unplug(device.party.id);
          await device.stop();
        }
        return;
      case 'start':
        for (const other of this.#devices) if (!other.running) await this.#start(other);
        return;
      case 'disconnect':
        return this.#mallory.disconnect(device.party.id);
      case 'forget':
        return this.#mallory.forget();
      case 'replay':
        return this.#replay();
      case 'replayAll':
        return this.#mallory.replayAll(device.party.id);
      case 'redirect':
        return this.#mallory.redirect(ids);
      case 'forge':
        return this.#mallory.forge(ids);
      case 'apart':
        return this.#mallory.keepApart(device.party.id, this.#seeded.pick(this.#devices).party.id, true);
      case 'reunite':
        return this.#mallory.reunite();
      case 'cancel':
        return this.#cancel();
      case 'jump':
        return this.#clock.jump((this.#seeded.below(200) - 100) * 3_600_000);
      case 'image':
        device.images.push({ image: device.disk.image(), step: this.#order });
        return;
      case 'restore':
        return this.#restore(device);
    }
  }

  #crash(device: SimDevice): void {
    if (!device.running) return;
    this.#mallory.unplug(device.party.id);
    device.crash();
  }

  /** An older copy of the disk comes back. */
  async #restore(device: SimDevice): Promise<void> {
    if (device.images.length === 0) return;
    const { image, step } = this.#seeded.pick(device.images);
    this.#crash(device);
    device.disk.restore(image);
    // Copies made after the one that came back belong to a life that is over, but may come back as well.
    this.#rolledBack.add(device);
    for (const promised of this.#promised.values()) {
      if (promised.from === device && promised.order >= step) promised.excused = true;
      if (promised.to === device) promised.excused = true;
    }
    await this.#start(device);
  }

  #send(from: SimDevice): void {
    const messenger = from.messenger;
    if (messenger === undefined) return;
    const others = this.#devices.filter((device) => device !== from);
    const to = this.#seeded.chance(0.2) ? others : [this.#seeded.pick(others)];
    const size = this.#seeded.weighted({ small: 20, medium: 3, large: 1, none: 1 });
    const order = this.#order++;
    const text = `${CANARY} ${order} `;
    const length = { small: 0, medium: 3000, large: 40_000, none: 0 }[size];
    const payload = new TextEncoder().encode(size === 'none' ? '' : text.padEnd(length, 'canary '));
    const run = messenger.send({ to: to.map((device) => device.party.id), payload });
    run.then(
      (receipt) => {
        if ('refused' in receipt) return this.#fail(`send was refused: ${receipt.refused}`);
        const id = toHex(receipt.ok.id);
        for (const device of to) {
          this.#promised.set(`${id} ${device.name}`, {
            id,
            from,
            to: device,
            order,
            payload: digest(payload),
            excused: false,
            cancelled: false,
          });
        }
        this.#say('accepted', id);
      },
      (error: unknown) => this.#fail(`send failed: ${String(error)}`),
    );
  }

  async #cancel(): Promise<void> {
    const open = [...this.#promised.values()].filter((promised) => promised.from.running);
    if (open.length === 0) return;
    const promised = this.#seeded.pick(open);
    const id = Uint8Array.from(Buffer.from(promised.id, 'hex'));
    promised.from.messenger?.cancel(id).then(
      () => undefined,
      (error: unknown) => this.#fail(`cancel failed: ${String(error)}`),
    );
    for (const other of this.#promised.values()) if (other.id === promised.id) other.cancelled = true;
  }

  /** All promises that can resolve have resolved; whoever ended is restarted or stays down. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    // Packets are read in a turn of their own, at once.
    while (this.#clock.untilNext() === 0) {
      this.#clock.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const device of this.#devices) {
      if (device.fatal === undefined) continue;
      const cause = device.fatal;
      if (!isPowerCut(cause)) this.#fail(`${device.name} ended: ${describe(cause)}`);
      this.#mallory.unplug(device.party.id);
      device.crash();
      await this.#start(device);
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #onPublish(packet: Packet): void {
    this.#packets++;
    this.#say('packet', packet.from, packet.to, digest(packet.bytes));
    const sender = this.#devices.find((device) => device.party.id === packet.from);
    const text = Buffer.from(packet.bytes).toString('latin1');
    if (text.includes(CANARY)) this.#fail('P2: a payload left in the clear');
    for (const device of this.#devices) {
      if (text.includes(device.name)) this.#fail('P2: a name left in the clear');
    }
    const decoded = decodeEnvelope(packet.bytes);
    if ('refused' in decoded) return this.#fail(`a device sent what cannot be read: ${decoded.refused}`);
    const { envelope } = decoded.ok;
    // Notices go to devices with which nothing is shared any more.
    if (envelope.kind === 'notice' || envelope.kind === 'pairing') return;
    const pair = sender?.committed.get(packet.to);
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
      this.#addressee.set(toHex(envelope.body), packet.to);
      this.#checkAck(envelope, pair);
    }
  }

  #checkAck(
    envelope: { readonly body: Uint8Array; readonly attached: readonly Uint8Array[] },
    pair: NonNullable<ReturnType<SimDevice['committed']['get']>>,
  ): void {
    this.#engine?.left(envelope.body);
    const plaintext = this.#engine?.plaintextOf(envelope.body);
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
    for (const item of parcel.ok.items) {
      if (item.kind !== 'ack') continue;
      const { incoming } = pair;
      const durable = incoming !== null && toHex(incoming.id) === toHex(item.stream) ? incoming.through : 0;
      if (durable < item.through)
        this.#fail('P3: an acknowledgement left before its messages were committed');
    }
  }

  /** What a device has read in this life of its program makes it do nothing when it comes again. */
  async #replay(): Promise<void> {
    const begunBefore = this.#engine?.begun;
    const packet = this.#mallory.replay();
    const decoded = packet === undefined ? undefined : decodeEnvelope(packet.bytes);
    if (decoded === undefined || 'refused' in decoded) return;
    const { envelope } = decoded.ok;
    const body = envelope.kind === 'sealed' || envelope.kind === 'initial' ? envelope.body : undefined;
    if (body === undefined || !this.#wasReadInThisLife(body)) return;
    await this.#settle();
    if (this.#engine?.begun !== begunBefore) this.#fail('a replay made a device begin a session');
  }

  #wasReadInThisLife(body: Uint8Array): boolean {
    const name = toHex(body);
    const to = this.#addressee.get(name);
    const readAt = this.#readAt.get(name);
    return to !== undefined && readAt !== undefined && readAt > (this.#startedAt.get(to) ?? 0);
  }

  #onReading(body: Uint8Array): void {
    if (this.#wasReadInThisLife(body)) this.#fail('P2: a replay reached the ratchet');
  }

  #onKeyReuse(before: Uint8Array, now: Uint8Array): void {
    if (this.#rolledBack.size === 0) return this.#fail('a message key encrypted two plaintexts');
    // An old copy of a device cannot know what it encrypted in the life it has forgotten; its texts then have
    // nothing in common, because each begins with random bytes.
    if (toHex(before.subarray(2, 18)) === toHex(now.subarray(2, 18))) this.#fail('a salt was used twice');
  }

  /** Everybody up, everybody honest, until nothing moves any more; then the books are compared. */
  async finish(): Promise<void> {
    this.#say('finish');
    this.#mallory.fair = true;
    this.#mallory.reunite();
    for (const device of this.#devices) {
      if (!device.running) await this.#start(device);
      this.#mallory.connect(device.party.id);
    }
    await this.#settle();
    const limit = 20_000;
    let quiet = 0;
    for (let i = 0; i < limit && quiet < 4; i++) {
      let moved = false;
      while (this.#mallory.deliver()) {
        moved = true;
        if (this.#seeded.chance(0.3)) await this.#settle();
      }
      await this.#settle();
      this.#check();
      if (!moved && this.#mallory.waiting === 0) {
        const open = this.#devices.some((device) => (device.messenger?.outbox().length ?? 0) > 0);
        quiet = open ? 0 : quiet + 1;
        if (!this.#clock.step()) break;
      }
      await this.#settle();
      this.#check();
    }
    await this.#compareBooks();
  }

  async #compareBooks(): Promise<void> {
    const arrived = new Map<string, number>();
    for (const device of this.#devices) {
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
          if (promised.from.party.id !== message.from) this.#fail('P2: a message arrived under a wrong name');
          const before = lastOrder.get(message.from) ?? -1;
          if (promised.order < before && !this.#rolledBack.has(promised.from)) {
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
      if (promised.excused) continue;
      const receipt = await promised.from.messenger?.delivery(
        Uint8Array.from(Buffer.from(promised.id, 'hex')),
      );
      const state = receipt?.to.find(({ deviceId }) => deviceId === promised.to.party.id)?.state;
      const where = `message ${promised.order} from ${promised.from.name} to ${promised.to.name}`;
      if (state === 'delivered' && times !== 1)
        this.#fail(`P3: ${where} is said to be delivered and is not there\n${pairState(promised)}`);
      else if (state === 'cancelled' && promised.cancelled && times === 0) continue;
      else if (state !== 'delivered') {
        this.#fail(`P3: ${where} has not ended: ${state}, arrived ${times} times\n${pairState(promised)}`);
      }
    }
    this.#check();
  }

  #say(...words: readonly string[]): void {
    this.#trace.update(`${this.#clock.elapsed()} ${words.join(' ')}\n`);
    if (process.env.SIMULATION_TRACE !== undefined) {
      process.stderr.write(`${this.#stepNow} ${this.#clock.elapsed()} ${words.join(' ')}\n`);
    }
  }

  #fail(message: string): void {
    this.#failure ??= new Problem(`step ${this.#stepNow}: ${message}`);
  }
}

/** What both ends hold of a pair, for whoever looks for the reason. */
function pairState({ from, to }: Promised): string {
  const end = (device: SimDevice, other: SimDevice): string => {
    const { sessions, outgoing, incoming, frozen, theirKeys, ourKeys } =
      device.committed.get(other.party.id) ?? {};
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

function isPowerCut(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at.name === 'PowerCut') return true;
  return false;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
