/**
 * A small honest broker without a network: several devices in one process, for trying things out and for tests.
 * It keeps a queue for every device that has been connected once, as a broker does for a persistent session.
 * All it ever does happens later than the call that asked for it, on the clock it is given.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Cancel, Clock } from '../../usecases/ports/clock.ts';
import type { PublishOutcome, Transport, TransportEvents } from '../../usecases/ports/transport.ts';

export interface MemoryBrokerSettings {
  readonly clock: Clock;
  /** How many packets wait for a device that is away; what comes on top is dropped, as brokers do. */
  readonly queued?: number;
  readonly packetBytes?: number;
  /** How long a device waits before it tries again. */
  readonly retryAfter?: number;
}

const NAME = 'memory';

interface Mailbox {
  readonly queue: Uint8Array[];
  client: MemoryTransport | undefined;
}

export class MemoryBroker {
  readonly clock: Clock;
  readonly packetBytes: number;
  readonly retryAfter: number;
  readonly #queued: number;
  readonly #mailboxes = new Map<DeviceId, Mailbox>();
  readonly #waiting = new Set<MemoryTransport>();
  #running = true;

  constructor(settings: MemoryBrokerSettings) {
    this.clock = settings.clock;
    this.#queued = settings.queued ?? 1000;
    this.packetBytes = settings.packetBytes ?? 4 * 1024 * 1024;
    this.retryAfter = settings.retryAfter ?? 1000;
  }

  /** A second transport of the same device takes the first one's place when it is opened. */
  transport(device: DeviceId): Transport {
    return new MemoryTransport(this, device);
  }

  get running(): boolean {
    return this.#running;
  }

  /** Ends all connections. Queues stay, unless the broker `forgets`. */
  stop(how: { readonly forgets: boolean }): void {
    this.#running = false;
    const mailboxes = [...this.#mailboxes.values()];
    if (how.forgets) this.#mailboxes.clear();
    for (const mailbox of mailboxes) this.#hangUp(mailbox);
  }

  start(): void {
    this.#running = true;
  }

  /** Ends the connection of one device, as a network does; it comes back by itself. */
  drop(device: DeviceId): void {
    const mailbox = this.#mailboxes.get(device);
    if (mailbox !== undefined) this.#hangUp(mailbox);
  }

  /** For transports: true where a mailbox was kept from before. */
  attach(device: DeviceId, client: MemoryTransport): boolean {
    const known = this.#mailboxes.get(device);
    const mailbox = known ?? { queue: [], client: undefined };
    if (known === undefined) this.#mailboxes.set(device, mailbox);
    const former = mailbox.client;
    mailbox.client = client;
    former?.lost(new MeshError('broker-taken-over', { broker: NAME }), true);
    this.#waiting.delete(client);
    for (const packet of mailbox.queue.splice(0)) client.arrive(packet);
    return known !== undefined;
  }

  detach(device: DeviceId, client: MemoryTransport): void {
    const mailbox = this.#mailboxes.get(device);
    if (mailbox?.client === client) mailbox.client = undefined;
  }

  /** Nobody ever subscribed to an unknown device's inbox, so a packet for it is taken and gone. */
  take(to: DeviceId, packet: Uint8Array): void {
    const mailbox = this.#mailboxes.get(to);
    if (mailbox === undefined) return;
    if (mailbox.client !== undefined) mailbox.client.arrive(packet);
    else if (mailbox.queue.length < this.#queued) mailbox.queue.push(packet);
  }

  /** What a device had not been handed yet when its connection ended. */
  giveBack(device: DeviceId, packets: readonly Uint8Array[]): void {
    const mailbox = this.#mailboxes.get(device);
    if (mailbox === undefined) return;
    if (mailbox.client !== undefined) for (const packet of packets) mailbox.client.arrive(packet);
    else mailbox.queue.unshift(...packets);
  }

  #hangUp(mailbox: Mailbox): void {
    const client = mailbox.client;
    mailbox.client = undefined;
    client?.lost(new MeshError('broker-lost', { broker: NAME }), false);
  }
}

class MemoryTransport implements Transport {
  readonly #broker: MemoryBroker;
  readonly #device: DeviceId;
  #events: TransportEvents | undefined;
  #state: 'away' | 'connected' | 'closed' = 'away';
  #arrived: Uint8Array[] = [];
  readonly #unanswered = new Set<(outcome: PublishOutcome) => void>();
  readonly #timers = new Set<Cancel>();
  #saidUnreachable = false;

  constructor(broker: MemoryBroker, device: DeviceId) {
    this.#broker = broker;
    this.#device = device;
  }

  open(events: TransportEvents): void {
    if (this.#events !== undefined) throw new Error('a transport was opened twice');
    this.#events = events;
    this.#later(0, () => this.#connect());
  }

  publish(to: DeviceId, packet: Uint8Array): Promise<PublishOutcome> {
    if (this.#state !== 'connected') return Promise.resolve('offline');
    if (packet.length > this.#broker.packetBytes) return Promise.resolve('too-large');
    const copy = packet.slice();
    return new Promise((resolve) => {
      this.#unanswered.add(resolve);
      this.#later(0, () => {
        this.#broker.take(to, copy);
        this.#unanswered.delete(resolve);
        resolve('taken');
      });
    });
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const wasConnected = this.#state === 'connected';
    this.#state = 'closed';
    if (wasConnected) this.#broker.detach(this.#device, this);
    this.#letGo();
  }

  arrive(packet: Uint8Array): void {
    this.#arrived.push(packet);
    this.#later(0, () => {
      const next = this.#arrived.shift();
      if (next !== undefined) this.#events?.packet(next);
    });
  }

  lost(error: MeshError, permanent: boolean): void {
    if (this.#state !== 'connected') return;
    this.#state = 'away';
    this.#letGo();
    this.#later(0, () => this.#events?.disconnected({ error, permanent }));
    if (!permanent) this.#later(this.#broker.retryAfter, () => this.#connect());
  }

  #connect(): void {
    if (!this.#broker.running) {
      if (!this.#saidUnreachable) {
        this.#saidUnreachable = true;
        const error = new MeshError('broker-unreachable', { broker: NAME, detail: 'stopped' });
        this.#events?.disconnected({ error, permanent: false });
      }
      this.#later(this.#broker.retryAfter, () => this.#connect());
      return;
    }
    this.#saidUnreachable = false;
    this.#state = 'connected';
    const resumed = this.#broker.attach(this.#device, this);
    this.#events?.connected({ broker: NAME, resumed });
  }

  /** Timers end, publishes are answered, and what was on its way to us stays with the broker. */
  #letGo(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    const unanswered = [...this.#unanswered];
    this.#unanswered.clear();
    for (const answer of unanswered) answer('offline');
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#broker.giveBack(this.#device, arrived);
  }

  #later(delay: number, call: () => void): void {
    const cancel = this.#broker.clock.after(delay, () => {
      this.#timers.delete(cancel);
      call();
    });
    this.#timers.add(cancel);
  }
}
