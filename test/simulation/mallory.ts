/**
 * Mallory runs the broker. She sees every packet and decides what becomes of it: she drops, delays, doubles,
 * reorders, replays from her log, redirects, flips bits, forges, holds one pair apart, and forgets her queues.
 */
import type { DeviceId } from '../../src/entities/device-id.ts';
import { MeshError } from '../../src/entities/errors.ts';
import type { Clock } from '../../src/usecases/ports/clock.ts';
import type { PublishOutcome, Transport, TransportEvents } from '../../src/usecases/ports/transport.ts';
import type { Seeded } from './seeded.ts';

export interface Packet {
  readonly from: DeviceId;
  readonly to: DeviceId;
  readonly bytes: Uint8Array;
}

const LOG = 4000;

export class Mallory {
  readonly #seeded: Seeded;
  readonly #clock: Clock;
  readonly #links = new Map<DeviceId, Link>();
  readonly #queues = new Map<DeviceId, Packet[]>();
  readonly log: Packet[] = [];
  /** While true she behaves like an honest broker. */
  fair = false;
  readonly #apart = new Set<string>();
  /** Called for every packet before it is hers. */
  readonly onPublish: (packet: Packet) => void;

  constructor(seeded: Seeded, clock: Clock, onPublish: (packet: Packet) => void) {
    this.#seeded = seeded;
    this.#clock = clock;
    this.onPublish = onPublish;
  }

  transport(device: DeviceId): Transport {
    return {
      open: (events) => {
        this.#links.set(device, { events });
        this.#clock.after(1 + this.#seeded.below(50), () => this.connect(device));
      },
      publish: (to, bytes) => this.#publish({ from: device, to, bytes: bytes.slice() }),
      close: async () => {
        this.#links.delete(device);
      },
    };
  }

  /** The device's process is gone, without a goodbye. */
  unplug(device: DeviceId): void {
    this.#links.delete(device);
  }

  connected(device: DeviceId): boolean {
    return this.#links.get(device)?.connected === true;
  }

  connect(device: DeviceId): void {
    const link = this.#links.get(device);
    if (link === undefined || link.connected) return;
    link.connected = true;
    const resumed = this.#queues.has(device);
    if (!resumed) this.#queues.set(device, []);
    link.events.connected({ broker: 'mallory', resumed });
  }

  disconnect(device: DeviceId): void {
    const link = this.#links.get(device);
    if (link?.connected !== true) return;
    link.connected = false;
    link.events.disconnected({ error: new MeshError('engine-trap'), permanent: false });
    this.#clock.after(10 + this.#seeded.below(3000), () => this.connect(device));
  }

  /** The broker restarts and has forgotten what it held for whoever was away, and perhaps for all. */
  forget(): void {
    for (const device of [...this.#links.keys()]) this.disconnect(device);
    this.#queues.clear();
  }

  keepApart(a: DeviceId, b: DeviceId, apart: boolean): void {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) {
      if (apart) this.#apart.add(pair);
      else this.#apart.delete(pair);
    }
  }

  reunite(): void {
    this.#apart.clear();
  }

  get waiting(): number {
    let sum = 0;
    for (const [device, queue] of this.#queues) if (this.connected(device)) sum += queue.length;
    return sum;
  }

  async #publish(packet: Packet): Promise<PublishOutcome> {
    this.onPublish(packet);
    if (!this.connected(packet.from)) return 'offline';
    this.log.push(packet);
    if (this.log.length > LOG) this.log.shift();
    if (!this.fair && this.#seeded.chance(0.02)) {
      this.disconnect(packet.from);
      return 'offline';
    }
    this.enqueue(packet);
    return 'taken';
  }

  enqueue(packet: Packet): void {
    const queue = this.#queues.get(packet.to) ?? [];
    this.#queues.set(packet.to, queue);
    queue.push(packet);
  }

  /** Hands one packet over, the first or, where she is not fair, any; returns false where there is none. */
  deliver(): boolean {
    const ready = [...this.#queues].filter(([device, queue]) => queue.length > 0 && this.connected(device));
    if (ready.length === 0) return false;
    const [device, queue] = this.#seeded.pick(ready);
    const index = this.fair || this.#seeded.chance(0.7) ? 0 : this.#seeded.below(queue.length);
    const [packet] = queue.splice(index, 1);
    if (packet === undefined) return false;
    if (this.#apart.has(`${packet.from} ${packet.to}`)) {
      if (this.fair || this.#seeded.chance(0.5)) queue.push(packet);
      return false;
    }
    const fate = this.fair
      ? 'deliver'
      : this.#seeded.weighted({ deliver: 88, drop: 4, double: 3, flip: 1, later: 4 });
    if (fate === 'drop') return true;
    if (fate === 'later') {
      queue.splice(this.#seeded.below(queue.length + 1), 0, packet);
      return true;
    }
    const bytes = packet.bytes.slice();
    if (fate === 'flip' && bytes.length > 0) {
      const at = this.#seeded.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#seeded.below(8));
    }
    this.#hand(device, bytes);
    if (fate === 'double') this.#hand(device, packet.bytes.slice());
    return true;
  }

  #hand(device: DeviceId, bytes: Uint8Array): void {
    this.#links.get(device)?.events.packet(bytes);
  }

  /** Something from her log, to whom it was for. */
  replay(): Packet | undefined {
    if (this.log.length === 0) return undefined;
    const packet = this.#seeded.pick(this.log);
    if (!this.connected(packet.to)) return undefined;
    this.#hand(packet.to, packet.bytes.slice());
    return packet;
  }

  replayAll(to: DeviceId): void {
    for (const packet of this.log)
      if (packet.to === to && this.connected(to)) this.#hand(to, packet.bytes.slice());
  }

  /** Something from her log, to somebody else, or back to its sender. */
  redirect(devices: readonly DeviceId[]): void {
    if (this.log.length === 0) return;
    const packet = this.#seeded.pick(this.log);
    const to = this.#seeded.pick(devices);
    if (to !== packet.to && this.connected(to)) this.#hand(to, packet.bytes.slice());
  }

  /** Bytes of her own: random ones, or the beginning of something real. */
  forge(devices: readonly DeviceId[]): void {
    const to = this.#seeded.pick(devices);
    if (!this.connected(to)) return;
    const model = this.log.length > 0 ? this.#seeded.pick(this.log).bytes : new Uint8Array([1]);
    const kept = this.#seeded.below(Math.min(model.length, 120) + 1);
    const bytes = new Uint8Array([
      ...model.subarray(0, kept),
      ...this.#seeded.bytes(this.#seeded.below(200)),
    ]);
    this.#hand(to, bytes);
  }
}

interface Link {
  readonly events: TransportEvents;
  connected?: boolean;
}
