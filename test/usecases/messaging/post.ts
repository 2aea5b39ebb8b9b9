/**
 * A small honest broker under a virtual clock: it keeps a queue for every device, delivers a millisecond later,
 * and remembers what passed. A test may tell it what becomes of a packet.
 */
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import type { Clock } from '../../../src/usecases/ports/clock.ts';
import type { PublishOutcome, Transport, TransportEvents } from '../../../src/usecases/ports/transport.ts';

export interface Packet {
  readonly from: DeviceId;
  readonly to: DeviceId;
  readonly bytes: Uint8Array;
  /** Virtual time. */
  readonly at: number;
}

interface Mailbox {
  readonly queue: Packet[];
  events: TransportEvents | undefined;
  connected: boolean;
}

const DELAY = 1;

export class Post {
  readonly #clock: Clock;
  readonly #mailboxes = new Map<DeviceId, Mailbox>();
  readonly log: Packet[] = [];
  /** What becomes of a packet that a device hands over; the device is told that it was taken. */
  fate: (packet: Packet) => 'deliver' | 'drop' = () => 'deliver';
  /** What a device is told instead. */
  outcome: (packet: Packet) => PublishOutcome = () => 'taken';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  #mailbox(device: DeviceId): Mailbox {
    const known = this.#mailboxes.get(device);
    if (known !== undefined) return known;
    const mailbox: Mailbox = { queue: [], events: undefined, connected: false };
    this.#mailboxes.set(device, mailbox);
    return mailbox;
  }

  transport(device: DeviceId): Transport {
    const mailbox = this.#mailbox(device);
    return {
      open: (events) => {
        const resumed = this.#seen.has(device);
        this.#seen.add(device);
        mailbox.events = events;
        this.#clock.after(DELAY, () => {
          if (mailbox.events === events) this.connect(device, resumed);
        });
      },
      publish: async (to, bytes) => {
        if (!mailbox.connected) return 'offline';
        const packet = { from: device, to, bytes: bytes.slice(), at: this.#clock.elapsed() };
        this.log.push(packet);
        const outcome = this.outcome(packet);
        const passes = !this.#apart.has([packet.from, packet.to].sort().join());
        if (outcome === 'taken' && passes && this.fate(packet) === 'deliver') this.enqueue(packet);
        return outcome;
      },
      close: async () => this.unplug(device),
    };
  }

  readonly #apart = new Set<string>();

  /** What either sends the other is lost from now on. */
  keepApart(a: DeviceId, b: DeviceId): void {
    this.#apart.add([a, b].sort().join());
  }

  reunite(): void {
    this.#apart.clear();
  }

  readonly #seen = new Set<DeviceId>();

  connect(device: DeviceId, resumed: boolean): void {
    const mailbox = this.#mailbox(device);
    if (mailbox.events === undefined || mailbox.connected) return;
    mailbox.connected = true;
    mailbox.events.connected({ broker: 'the post', resumed });
    for (const packet of mailbox.queue.splice(0)) this.#carry(packet);
  }

  /** The connection ends; the device stays away until `connect`. */
  disconnect(device: DeviceId): void {
    const mailbox = this.#mailbox(device);
    if (!mailbox.connected) return;
    mailbox.connected = false;
    const error = new MeshError('broker-lost', { broker: 'the post' });
    mailbox.events?.disconnected({ error, permanent: false });
  }

  /** The device's process is gone. What comes for it waits. */
  unplug(device: DeviceId): void {
    const mailbox = this.#mailbox(device);
    mailbox.connected = false;
    mailbox.events = undefined;
  }

  /** All that waits for a device that is away is forgotten. */
  forget(device: DeviceId): void {
    this.#mailbox(device).queue.length = 0;
  }

  waiting(device: DeviceId): number {
    return this.#mailbox(device).queue.length;
  }

  enqueue(packet: Packet): void {
    const mailbox = this.#mailbox(packet.to);
    if (mailbox.connected) this.#carry(packet);
    else mailbox.queue.push(packet);
  }

  #carry(packet: Packet): void {
    this.#clock.after(DELAY, () => {
      const mailbox = this.#mailbox(packet.to);
      if (mailbox.connected) mailbox.events?.packet(packet.bytes.slice());
      else mailbox.queue.push(packet);
    });
  }

  /** Hands bytes to a device out of turn, as a broker can who invents, replays or redirects. */
  hand(to: DeviceId, bytes: Uint8Array): void {
    this.#mailbox(to).events?.packet(bytes.slice());
  }
}
