/**
 * A broker inside this process, for a person who has none yet. It speaks MQTT 3.1.1 and serves one mesh: a login
 * per device, inboxes and nothing else.
 *
 * aedes trusts its clients with much: client ids, wills, retained messages, filters that were denied. Here a
 * login has exactly one session, named after the login, so nobody can take another's; and every rule is asked
 * where a packet comes in, where a subscription is kept, and again where a packet goes out.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { Aedes, type AedesPublishPacket, type AuthenticateError, type Client } from 'aedes';
import { MeshError } from '../../entities/errors.ts';
import { PacketGuard } from '../mqtt/packet-guard.ts';
import { DEFAULT_TOPIC_PREFIX, isUsablePrefix } from '../mqtt/settings.ts';
import { isLoopback } from './address.ts';
import type { KeyAndCertificate } from './certificate.ts';
import type { Login } from './login.ts';
import { Rules } from './rules.ts';
import { type QueueCaps, SessionMemory } from './session-memory.ts';

export interface EmbeddedBrokerSettings {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Required for every address but the loopback. */
  readonly tls?: KeyAndCertificate | undefined;
  readonly logins: Iterable<Login>;
  readonly topicPrefix?: string | undefined;
  readonly limits?: Partial<BrokerLimits> | undefined;
}

export interface BrokerLimits extends QueueCaps {
  readonly packetBytes: number;
  /** Connections that have not shown a login yet; the oldest goes when another one comes. */
  readonly strangers: number;
  /** Milliseconds a stranger has to show its login, TLS included. */
  readonly strangerTime: number;
  /** What may lie unread in front of a client before it is cut off; it finds its queue later. */
  readonly unreadBytes: number;
}

export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  packetBytes: 4 * 1024 * 1024 + 1024,
  strangers: 64,
  strangerTime: 10_000,
  unreadBytes: 16 * 1024 * 1024,
  packetsPerLogin: 1000,
  bytesPerLogin: 64 * 1024 * 1024,
  bytes: 256 * 1024 * 1024,
};

export interface BrokerStatus {
  readonly clients: number;
  readonly strangers: number;
  readonly queuedPackets: number;
  readonly queuedBytes: number;
  /** Packets for which a queue had no room left. */
  readonly dropped: number;
  /** Logins that failed, and things asked for that the rules forbid. */
  readonly refused: number;
}

export interface EmbeddedBroker {
  readonly port: number;
  /** Replaces the login of the same name, and ends its connection. */
  addLogin(login: Login): void;
  /** From now on it is worth nothing: its connection ends, its queue is gone. */
  removeLogin(name: string): void;
  /** All inboxes move. Every connection ends, and what was queued under the old prefix is gone. */
  setTopicPrefix(topicPrefix: string | undefined): void;
  status(): BrokerStatus;
  /** Ends all connections and gives the port back. What was queued is gone. */
  stop(): Promise<void>;
}

/** Throws a `MeshError` where the address, the certificate or the prefix cannot be used. */
export async function startBroker(settings: EmbeddedBrokerSettings): Promise<EmbeddedBroker> {
  const { host, port } = settings;
  const broker = new AedesBroker(settings);
  await broker.listen(host, port);
  return broker;
}

/** A stranger has no business sending more than a CONNECT packet. */
const STRANGERS_PACKET_BYTES = 4096;
const DRAIN_TIME = 10_000;
const BAD_LOGIN = 4;

interface Guest {
  readonly socket: Socket;
  readonly guard: PacketGuard;
  login: Login | undefined;
}

class AedesBroker implements EmbeddedBroker {
  readonly #limits: BrokerLimits;
  readonly #rules: Rules;
  readonly #memory: SessionMemory;
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #tls: SecureContext | undefined;
  /** Everybody, and those without a login, in the order they came. */
  readonly #guests = new Set<Guest>();
  readonly #strangers = new Set<Guest>();
  readonly #guestOf = new WeakMap<Client, Guest>();
  #strangerNumber = 0;
  #refused = 0;

  constructor(settings: EmbeddedBrokerSettings) {
    const prefix = usablePrefix(settings.topicPrefix);
    if (settings.tls === undefined && !isLoopback(settings.host)) {
      throw new MeshError('embedded-broker-needs-tls', { host: settings.host });
    }
    this.#tls = settings.tls === undefined ? undefined : secureContext(settings.tls);
    this.#limits = { ...DEFAULT_BROKER_LIMITS, ...settings.limits };
    this.#rules = new Rules(prefix, settings.logins);
    this.#memory = new SessionMemory(this.#limits, (name, topic) => this.#rules.mayRead(name, topic));
    this.#aedes = this.#createAedes();
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async listen(host: string, port: number): Promise<void> {
    await this.#aedes.listen();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen({ host, port }, () => {
          this.#server.removeListener('error', reject);
          resolve();
        });
      });
    } catch (cause) {
      await this.stop();
      const detail = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given';
      throw new MeshError('embedded-broker-cannot-listen', { host, port, detail }, cause);
    }
    // Later errors concern single connections that could not be accepted, when descriptors run out.
    this.#server.on('error', () => undefined);
  }

  addLogin(login: Login): void {
    this.#rules.add(login);
    this.#hangUp(login.name);
  }

  removeLogin(name: string): void {
    this.#rules.remove(name);
    this.#hangUp(name);
    this.#memory.forget(name);
  }

  setTopicPrefix(topicPrefix: string | undefined): void {
    const prefix = usablePrefix(topicPrefix);
    if (prefix === this.#rules.prefix) return;
    this.#rules.prefix = prefix;
    for (const guest of this.#guests) guest.socket.destroy();
    this.#memory.forgetAll();
  }

  status(): BrokerStatus {
    const { packets, bytes, dropped } = this.#memory.queued;
    return {
      clients: this.#guests.size - this.#strangers.size,
      strangers: this.#strangers.size,
      queuedPackets: packets,
      queuedBytes: bytes,
      dropped,
      refused: this.#refused,
    };
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    for (const guest of this.#guests) guest.socket.destroy();
    await closed;
  }

  #createAedes(): Aedes {
    return new Aedes({
      persistence: this.#memory,
      connectTimeout: this.#limits.strangerTime,
      drainTimeout: DRAIN_TIME,
      preConnect: (client, packet, done) => {
        const guest = this.#guestOf.get(client);
        const login = this.#rules.check(packet.username, packet.password);
        if (login !== undefined && guest !== undefined) {
          guest.login = login;
          guest.guard.allow(this.#limits.packetBytes);
          this.#strangers.delete(guest);
        }
        // The session belongs to the login, whatever client id is claimed; a wrong login gets one of nobody.
        this.#strangerNumber += 1;
        packet.clientId = login?.name ?? `?${this.#strangerNumber}`;
        // Wills reach people who cannot know who wrote them; nobody here needs one.
        delete packet.will;
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        if (this.#login(client) !== undefined) return done(null, true);
        this.#refused += 1;
        const error: AuthenticateError = Object.assign(new Error('bad login'), { returnCode: BAD_LOGIN });
        done(error, false);
      },
      authorizePublish: (client, packet, done) => {
        const login = client === null ? undefined : this.#login(client);
        if (login !== undefined && this.#rules.mayPublish(login, packet)) return done(null);
        this.#refused += 1;
        // MQTT 3.1.1 has no other way to say no: the connection ends.
        done(new Error('not allowed'));
      },
      authorizeSubscribe: (client, subscription, done) => {
        const login = this.#login(client);
        const granted = login !== undefined && this.#rules.maySubscribe(login, subscription.topic);
        if (!granted) this.#refused += 1;
        done(null, granted ? subscription : null);
      },
      authorizeForward: (client, packet) => this.#forward(client, packet),
    });
  }

  #welcome(socket: Socket): void {
    socket.setNoDelay(true);
    const stream =
      this.#tls === undefined
        ? socket
        : new TLSSocket(socket, { isServer: true, secureContext: this.#tls, requestCert: false });
    const guard = new PacketGuard(stream, STRANGERS_PACKET_BYTES, 'hang-up');
    const guest: Guest = { socket, guard, login: undefined };
    this.#guests.add(guest);
    this.#strangers.add(guest);
    socket.once('close', () => {
      this.#guests.delete(guest);
      this.#strangers.delete(guest);
    });
    socket.on('error', () => undefined);
    this.#guestOf.set(this.#aedes.handle(guard), guest);
    const [oldest] = this.#strangers;
    if (this.#strangers.size > this.#limits.strangers) {
      oldest?.socket.destroy();
      if (oldest !== undefined) this.#strangers.delete(oldest);
    }
  }

  /** Of a login that was removed or replaced nothing is left, even while its connection ends. */
  #login(client: Client): Login | undefined {
    const login = this.#guestOf.get(client)?.login;
    return login !== undefined && this.#rules.knows(login) ? login : undefined;
  }

  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const login = this.#login(client);
    if (login === undefined || !this.#rules.mayRead(login.name, packet.topic)) return null;
    const guest = this.#guestOf.get(client);
    if (
      guest !== undefined &&
      guest.guard.writableLength + guest.socket.writableLength > this.#limits.unreadBytes
    ) {
      guest.socket.destroy();
    }
    return packet;
  }

  #hangUp(name: string): void {
    for (const guest of this.#guests) if (guest.login?.name === name) guest.socket.destroy();
  }
}

/** Throws `broker-topic-prefix-invalid`. */
function usablePrefix(topicPrefix: string | undefined): string {
  const prefix = topicPrefix ?? DEFAULT_TOPIC_PREFIX;
  if (!isUsablePrefix(prefix)) throw new MeshError('broker-topic-prefix-invalid');
  return prefix;
}

function secureContext({ key, cert }: KeyAndCertificate): SecureContext {
  try {
    return createSecureContext({ key, cert, minVersion: 'TLSv1.2' });
  } catch (cause) {
    const detail = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given';
    throw new MeshError('embedded-broker-bad-certificate', { detail }, cause);
  }
}
