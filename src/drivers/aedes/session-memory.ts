/**
 * What the embedded broker remembers of its clients: one exact topic or a few, and the packets that they have
 * not acknowledged yet. Nothing else has a place in it: no wildcards, no retained messages, no wills, no QoS 2.
 * In memory only, and bounded; docs/decisions/0004-embedded-broker.md says why.
 *
 * The method names are those that aedes asks its persistence for.
 */
import { Readable } from 'node:stream';
import type { AedesPublishPacket, Client } from 'aedes';

export interface QueueCaps {
  readonly packetsPerLogin: number;
  readonly bytesPerLogin: number;
  readonly bytes: number;
}

type ClientName = Pick<Client, 'id'>;
type Subscription = { readonly topic: string; readonly qos: number };

interface Kept {
  readonly packet: AedesPublishPacket;
  messageId: number | undefined;
}

interface Session {
  readonly topics: Map<string, Subscription>;
  /** By the number that the broker gave the packet: in the order they came. */
  readonly queue: Map<number, Kept>;
  readonly counters: Map<number, number>;
  bytes: number;
}

/** Room that a packet takes besides its payload, roughly. */
const PACKET_OVERHEAD = 512;

export class SessionMemory {
  readonly #caps: QueueCaps;
  readonly #mayRead: (login: string, topic: string) => boolean;
  readonly #sessions = new Map<string, Session>();
  readonly #readers = new Map<string, Set<string>>();
  #bytes = 0;
  #dropped = 0;

  constructor(caps: QueueCaps, mayRead: (login: string, topic: string) => boolean) {
    this.#caps = caps;
    this.#mayRead = mayRead;
  }

  get queued(): { readonly packets: number; readonly bytes: number; readonly dropped: number } {
    let packets = 0;
    for (const session of this.#sessions.values()) packets += session.queue.size;
    return { packets, bytes: this.#bytes, dropped: this.#dropped };
  }

  /** Everything that is kept for a login goes. */
  forget(login: string): void {
    const session = this.#sessions.get(login);
    if (session === undefined) return;
    for (const topic of session.topics.keys()) this.#removeReader(topic, login);
    this.#bytes -= session.bytes;
    this.#sessions.delete(login);
  }

  forgetAll(): void {
    for (const login of [...this.#sessions.keys()]) this.forget(login);
  }

  /** aedes insists on functions that are declared `async` here and below. */
  async setup(): Promise<void> {
    // There is nothing to open.
  }

  async addSubscriptions({ id }: ClientName, subscriptions: readonly Subscription[]): Promise<void> {
    for (const { topic, qos } of subscriptions) {
      // aedes hands over the denied filters of a request together with the granted ones.
      if (!this.#mayRead(id, topic)) continue;
      this.#session(id).topics.set(topic, { topic, qos });
      const readers = this.#readers.get(topic) ?? new Set();
      this.#readers.set(topic, readers.add(id));
    }
  }

  async removeSubscriptions({ id }: ClientName, topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      this.#sessions.get(id)?.topics.delete(topic);
      this.#removeReader(topic, id);
    }
  }

  async subscriptionsByClient({ id }: ClientName): Promise<Subscription[]> {
    return [...(this.#sessions.get(id)?.topics.values() ?? [])].map((subscription) => ({ ...subscription }));
  }

  async subscriptionsByTopic(topic: string): Promise<{ clientId: string; topic: string; qos: number }[]> {
    return [...(this.#readers.get(topic) ?? [])].flatMap((clientId) => {
      const qos = this.#sessions.get(clientId)?.topics.get(topic)?.qos ?? 0;
      return qos > 0 ? [{ clientId, topic, qos }] : [];
    });
  }

  /** A clean session leaves nothing of an earlier one, its queue included. */
  async cleanSubscriptions({ id }: ClientName): Promise<void> {
    this.forget(id);
  }

  async outgoingEnqueue({ clientId }: { clientId: string }, packet: AedesPublishPacket): Promise<void> {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    const size = sizeOf(packet);
    const caps = this.#caps;
    if (
      session.queue.size >= caps.packetsPerLogin ||
      session.bytes + size > caps.bytesPerLogin ||
      this.#bytes + size > caps.bytes
    ) {
      this.#dropped += 1;
      return;
    }
    session.queue.set(packet.brokerCounter, { packet: plain(packet), messageId: undefined });
    session.bytes += size;
    this.#bytes += size;
  }

  async outgoingEnqueueCombi(
    readers: readonly { clientId: string }[],
    packet: AedesPublishPacket,
  ): Promise<void> {
    for (const reader of readers) await this.outgoingEnqueue(reader, packet);
  }

  /** A packet that found no room in the queue still goes out to a client that is there. */
  async outgoingUpdate({ id }: ClientName, packet: AedesPublishPacket): Promise<void> {
    const session = this.#sessions.get(id);
    const kept = session?.queue.get(packet.brokerCounter);
    if (session === undefined || kept === undefined || packet.messageId === undefined) return;
    if (kept.messageId !== undefined) session.counters.delete(kept.messageId);
    kept.messageId = packet.messageId;
    session.counters.set(packet.messageId, packet.brokerCounter);
  }

  async outgoingClearMessageId(
    { id }: ClientName,
    { messageId }: { messageId?: number | undefined },
  ): Promise<AedesPublishPacket | undefined> {
    const session = this.#sessions.get(id);
    if (session === undefined || messageId === undefined) return undefined;
    const counter = session.counters.get(messageId);
    if (counter === undefined) return undefined;
    const kept = session.queue.get(counter);
    session.counters.delete(messageId);
    session.queue.delete(counter);
    if (kept === undefined) return undefined;
    const size = sizeOf(kept.packet);
    session.bytes -= size;
    this.#bytes -= size;
    return kept.packet;
  }

  outgoingStream({ id }: ClientName): Readable {
    return Readable.from(
      [...(this.#sessions.get(id)?.queue.values() ?? [])].map(({ packet }) => plain(packet)),
    );
  }

  createRetainedStreamCombi(): Readable {
    return Readable.from([]);
  }

  streamWill(): Readable {
    return Readable.from([]);
  }

  async delWill(): Promise<undefined> {
    return undefined;
  }

  async cleanIncoming(): Promise<void> {
    // Nothing of QoS 2 is kept.
  }

  storeRetained = keepsNo('retained messages');
  putWill = keepsNo('wills');
  incomingStorePacket = keepsNo('QoS 2 packets');
  incomingGetPacket = keepsNo('QoS 2 packets');
  incomingDelPacket = keepsNo('QoS 2 packets');

  #session(login: string): Session {
    const known = this.#sessions.get(login);
    if (known !== undefined) return known;
    const session = { topics: new Map(), queue: new Map(), counters: new Map(), bytes: 0 };
    this.#sessions.set(login, session);
    return session;
  }

  #removeReader(topic: string, login: string): void {
    const readers = this.#readers.get(topic);
    readers?.delete(login);
    if (readers?.size === 0) this.#readers.delete(topic);
  }
}

function sizeOf(packet: AedesPublishPacket): number {
  return packet.payload.length + PACKET_OVERHEAD;
}

/** Without a message id: the next connection gives its own. */
function plain(packet: AedesPublishPacket): AedesPublishPacket {
  const { cmd, topic, payload, qos, brokerId, brokerCounter } = packet;
  return { cmd, topic, payload, qos, brokerId, brokerCounter, retain: false, dup: false };
}

/** The broker's rules keep these out before; a stray PUBREL finds nothing, which is what aedes expects. */
function keepsNo(what: string): () => Promise<never> {
  return async () => {
    throw new Error(`the embedded broker keeps no ${what}`);
  };
}
