/**
 * A few devices in one process, with the real engine and a sealed store in memory, on the honest post and a
 * clock that moves only when a test says so.
 */
import { VirtualClock } from '../../../src/adapters/memory/virtual-clock.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import type { Party } from '../../../src/entities/pair-keys.ts';
import type { Circle } from '../../../src/entities/roster/circle.ts';
import { revocation } from '../../../src/entities/roster/compose.ts';
import { decodeEnvelope, type Envelope } from '../../../src/entities/wire/envelope.ts';
import type { Item } from '../../../src/entities/wire/items.ts';
import { decodeCore, decodeParcel } from '../../../src/entities/wire/parcel.ts';
import type { InboxMessage } from '../../../src/usecases/messaging/inbox.ts';
import type { Receipt, SendRequest } from '../../../src/usecases/messaging/messenger.ts';
import { CONTENT_NONCE } from '../../../src/usecases/messaging/sealing.ts';
import type { Clock } from '../../../src/usecases/ports/clock.ts';
import { realRandomness } from '../../randomness.ts';
import { Seeded } from '../../simulation/seeded.ts';
import { additionBody, foundMesh } from '../../support/found-mesh.ts';
import { HookedEngine } from './hooked-engine.ts';
import { type Packet, Post } from './post.ts';
import { RigDevice } from './rig-device.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const text = (words: string): Uint8Array => new TextEncoder().encode(words);
export const words = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const NAMES = ["Alice's laptop", "Alice's phone", 'the Pi', 'a stolen tablet'] as const;

/** Engines are never unloaded, so all rigs of a file share one. */
const engine = loadEngine(realRandomness);

export interface RigSettings {
  readonly devices?: number;
  /** How many more there are that belong to no mesh. */
  readonly strangers?: number;
  /** Another clock for one device, made from everybody's. */
  readonly clockOf?: (name: string, clock: VirtualClock) => Clock;
}

export class Rig {
  readonly clock = new VirtualClock();
  readonly post = new Post(this.clock);
  readonly seeded = new Seeded(7);
  readonly devices: RigDevice[] = [];
  readonly strangers: RigDevice[] = [];
  readonly #plaintexts = new Map<string, Uint8Array>();

  /** Devices that have never heard of each other but know each other's keys. None is running yet. */
  static async make({ devices = 2, strangers = 0, clockOf }: RigSettings = {}): Promise<Rig> {
    const rig = new Rig();
    for (let i = 0; i < devices + strangers; i++) {
      const name = NAMES[i] ?? `device ${i}`;
      const device = await RigDevice.make({
        name,
        engine: new HookedEngine(await engine, rig.#plaintexts),
        clock: clockOf?.(name, rig.clock) ?? rig.clock,
        seeded: rig.seeded,
        transport: (self: Party) => rig.post.transport(self.id),
      });
      if (i < devices) rig.devices.push(device);
      else rig.strangers.push(device);
    }
    await rig.found();
    return rig;
  }

  /** Devices that have greeted each other and hold sessions. */
  static async met(settings: RigSettings = {}): Promise<Rig> {
    const rig = await Rig.make(settings);
    await rig.startAll();
    await rig.pass(5 * SECOND);
    return rig;
  }

  /** Ends every session between all devices, and takes away every key with which a new one could begin. */
  async estrange(): Promise<void> {
    for (const device of this.devices) await this.stop(device);
    for (const device of this.devices) {
      for (const other of this.devices) {
        if (other !== device) await device.editPair(other, { sessions: [], theirKeys: [] });
      }
    }
  }

  /** Brings the devices, none of which runs, together in a mesh of their own. */
  async found(): Promise<void> {
    const random = (length: number) => this.seeded.bytes(length);
    const parts = { engine: await engine, now: Math.floor(this.clock.now()), random };
    const membership = foundMesh(
      parts,
      this.devices.map(({ founder }) => founder),
    );
    for (const device of this.devices) await device.enter(membership);
  }

  device(index: number): RigDevice {
    const device = this.devices[index];
    if (device === undefined) throw new Error(`the rig has no device ${index}`);
    return device;
  }

  get laptop(): RigDevice {
    return this.device(0);
  }

  get phone(): RigDevice {
    return this.device(1);
  }

  get pi(): RigDevice {
    return this.device(2);
  }

  async start(device: RigDevice): Promise<void> {
    await device.start();
    await this.settle();
  }

  async startAll(): Promise<void> {
    for (const device of this.devices) if (!device.running) await this.start(device);
  }

  async stop(device: RigDevice): Promise<void> {
    const stopping = device.stop();
    await this.settle();
    await stopping;
    await this.settle();
  }

  crash(device: RigDevice): void {
    this.post.unplug(device.id);
    device.crash();
  }

  async restart(device: RigDevice): Promise<void> {
    this.crash(device);
    await this.start(device);
  }

  /** All that waits for nothing but its turn has had it. */
  async settle(): Promise<void> {
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    while (this.clock.untilNext() === 0) {
      this.clock.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Lets virtual time pass, and everything happen that is due in it. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.elapsed() + milliseconds;
    await this.settle();
    for (;;) {
      const next = this.clock.untilNext();
      if (next === undefined || this.clock.elapsed() + next > end) break;
      this.clock.step();
      await this.settle();
      for (const device of this.devices) {
        if (device.fatal !== undefined && !device.mayEnd) throw device.fatal;
      }
    }
    this.clock.pass(end - this.clock.elapsed());
  }

  /** One device adds another, as at the end of a pairing; the newcomer begins with what the inviter holds. */
  async add(inviter: RigDevice, newcomer: RigDevice): Promise<void> {
    const { log } = inviter.messenger;
    log.write(additionBody(log.membership(), inviter.founder, newcomer.founder, this.seeded.bytes(32)));
    if (!this.devices.includes(newcomer)) this.devices.push(newcomer);
    if (newcomer.running) await this.stop(newcomer);
    await newcomer.enter(log.membership());
    await this.start(newcomer);
  }

  /** One device removes another. */
  async revoke(by: RigDevice, target: RigDevice): Promise<void> {
    const { log } = by.messenger;
    log.write(revocation(log.membership(), target.id, 'lost'));
    await this.settle();
  }

  /** Sends and waits until the message is durable. */
  async send(
    from: RigDevice,
    to: RigDevice | readonly RigDevice[] | Circle,
    request: string | Partial<SendRequest>,
  ): Promise<Receipt> {
    const addressees = typeof to === 'string' ? to : ('id' in to ? [to] : to).map(({ id }: RigDevice) => id);
    const rest = typeof request === 'string' ? { payload: text(request) } : { payload: text(''), ...request };
    const sending = from.messenger.send({ ...rest, to: addressees });
    await this.settle();
    const sent = await sending;
    if ('refused' in sent) throw new Error(`refused as ${sent.refused}`);
    return sent.ok;
  }

  /** The state of a message at each of its recipients. */
  async states(from: RigDevice, receipt: Receipt): Promise<string[]> {
    const delivery = await from.messenger.delivery(receipt.id);
    return (delivery?.to ?? []).map(({ state }) => state);
  }

  async inbox(device: RigDevice): Promise<InboxMessage[]> {
    const all: InboxMessage[] = [];
    let position = { batch: 0, index: 0 };
    for (;;) {
      const some = await device.messenger.inbox.read(position);
      const last = some.at(-1);
      if (last === undefined) return all;
      all.push(...some);
      position = last.after;
    }
  }

  async payloads(device: RigDevice): Promise<string[]> {
    return (await this.inbox(device)).map(({ payload }) => words(payload));
  }

  /** What one device has handed to the post for another, from a place in its log on. */
  sent(from: RigDevice, to: RigDevice, since = 0): readonly Packet[] {
    return this.post.log.slice(since).filter((packet) => packet.from === from.id && packet.to === to.id);
  }

  kinds(packets: readonly Packet[]): string[] {
    return packets.map((packet) => this.envelope(packet).kind);
  }

  envelope(packet: Pick<Packet, 'bytes'>): Envelope {
    const decoded = decodeEnvelope(packet.bytes);
    if ('refused' in decoded) throw new Error(`a device sent what is refused as ${decoded.refused}`);
    return decoded.ok.envelope;
  }

  /** What stands inside a packet of this rig. */
  items(packet: Pick<Packet, 'bytes'>): readonly Item[] {
    const envelope = this.envelope(packet);
    if (envelope.kind !== 'sealed' && envelope.kind !== 'initial') return [];
    const plaintext = this.#plaintexts.get(toHex(envelope.body));
    if (plaintext === undefined) throw new Error('this rig did not encrypt that');
    return itemsIn(plaintext, envelope.attached);
  }

  batches(packets: readonly Packet[]): readonly Extract<Item, { kind: 'batch' }>[] {
    return packets.flatMap((packet) => this.items(packet)).filter((item) => item.kind === 'batch');
  }
}

export function itemsIn(plaintext: Uint8Array, attached: readonly Uint8Array[]): readonly Item[] {
  const core = decodeCore(plaintext);
  if ('refused' in core) throw new Error(`a core that is refused as ${core.refused}`);
  const [data = new Uint8Array(0)] = attached;
  const padded =
    'inside' in core.ok
      ? core.ok.inside
      : nodePrimitives.cipher.open({ key: core.ok.key, nonce: CONTENT_NONCE, aad: core.ok.context, data });
  const parcel = padded === undefined ? undefined : decodeParcel(padded);
  if (parcel === undefined || 'refused' in parcel) throw new Error('a parcel that cannot be read');
  return parcel.ok.items;
}
