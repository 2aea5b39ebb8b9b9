/**
 * One connection to one broker, from the CONNECT packet to its end. It never comes back: MQTT.js's own
 * reconnecting, queueing and re-publishing stay unused, because what is sent again, and when, is decided above,
 * and each attempt begins with a fresh client.
 */
import type { Socket } from 'node:net';
import { MqttClient } from 'mqtt';
import type { BrokerUrl } from '../../entities/broker-url.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Cancel, Clock } from '../../usecases/ports/clock.ts';
import type { PublishOutcome } from '../../usecases/ports/transport.ts';
import { clientOptions, overWebSocket } from './client-options.ts';
import { refusal, socketFailure } from './failures.ts';
import { BrokenRule, PacketGuard } from './packet-guard.ts';
import type { Limits, Plan, ProtocolVersion } from './settings.ts';

export interface ConnectionEvents {
  packet(bytes: Uint8Array): void;
  discarded(why: 'retained' | 'foreign' | 'oversized'): void;
}

/** The broker's answers that say "perhaps another version": none at all, a hang-up, or a refusal of this one. */
export type HelloFailure = {
  readonly error: MeshError;
  readonly perhapsVersion: boolean;
};

interface Pending {
  readonly topic: string;
  readonly packet: Uint8Array;
  readonly settle: (outcome: PublishOutcome) => void;
}

/** What surrounds topic and payload in a PUBLISH: header, lengths, id, empty properties. */
const PUBLISH_OVERHEAD = 10;
const LARGEST_MQTT_PACKET = 268_435_455;

export class Connection {
  readonly version: ProtocolVersion;
  readonly #broker: string;
  readonly #plan: Plan;
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #events: ConnectionEvents;
  readonly #client: MqttClient;
  readonly #stream: PacketGuard;
  readonly #ended: Promise<MeshError>;
  #end: (error: MeshError) => void = () => undefined;
  #over: MeshError | undefined;
  #cause: unknown;
  #disconnectReason: number | undefined;
  readonly #sent = new Set<Pending>();
  #waiting: Pending[] = [];
  #window: number;
  #largest = LARGEST_MQTT_PACKET;
  #lastAnswer = 0;
  #watch: Cancel | undefined;
  #closing = false;

  constructor(
    socket: Socket,
    url: BrokerUrl,
    plan: Plan,
    version: ProtocolVersion,
    clock: Clock,
    events: ConnectionEvents,
  ) {
    this.version = version;
    this.#broker = url.name;
    this.#plan = plan;
    this.#limits = plan.limits;
    this.#clock = clock;
    this.#events = events;
    this.#window = plan.limits.inFlight;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    let guard: PacketGuard | undefined;
    this.#client = new MqttClient(
      (client) => {
        const inner = url.webSocket ? overWebSocket(client, socket, url) : socket;
        guard = new PacketGuard(inner, plan.limits.packetBytes, {
          hollowOut: { version, counted: () => events.discarded('oversized') },
        });
        return guard;
      },
      clientOptions(plan, version),
    );
    if (guard === undefined) throw new Error('MQTT.js has not asked for its stream');
    this.#stream = guard;
    this.#listen();
  }

  /** Settles once, with why the connection is over. */
  get ended(): Promise<MeshError> {
    return this.#ended;
  }

  /** Resolves when the broker has let us in: whether it knew our session. */
  hello(limit: number): Promise<{ readonly resumed: boolean } | HelloFailure> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(limit, () =>
        this.#finish(new MeshError('broker-silent', this.#named)),
      );
      let answered = false;
      this.#client.once('connect', ({ sessionPresent, properties }) => {
        answered = true;
        cancel();
        if (properties?.maximumQoS === 0) {
          const error = new MeshError('broker-without-qos', this.#named);
          this.#finish(error);
          resolve({ error, perhapsVersion: false });
          return;
        }
        this.#window = Math.min(this.#window, properties?.receiveMaximum ?? this.#window);
        this.#largest = Math.min(this.#largest, properties?.maximumPacketSize ?? this.#largest);
        resolve({ resumed: sessionPresent });
      });
      void this.#ended.then((error) => {
        cancel();
        if (answered) return;
        // Nothing was lost that had never been there: who hangs up on a greeting may not be a broker at all.
        const hungUp = error.code === 'broker-lost';
        resolve({
          error: hungUp ? new MeshError('broker-silent', this.#named, error) : error,
          perhapsVersion: this.#perhapsVersion(error),
        });
      });
    });
  }

  /** Resolves when our inbox is subscribed, or with the reason why not; the connection is then over. */
  async subscribe(limit: number): Promise<MeshError | undefined> {
    const silent = this.#clock.after(limit, () => this.#finish(new MeshError('broker-silent', this.#named)));
    const granted = new Promise<MeshError | undefined>((resolve) => {
      // Without retained messages where the broker can be told so; the others are discarded as they arrive.
      const options = this.version === 5 ? { qos: 1 as const, rh: 2 } : { qos: 1 as const };
      this.#client.subscribe(this.#plan.inbox, options, (error, _grants, answer) => {
        const granted = answer?.granted[0];
        if (granted === 1) return resolve(undefined);
        // Without an answer the connection is over, and its end says why.
        if (granted === undefined) return;
        const data = { ...this.#named, topic: this.#plan.inbox };
        const refused = new MeshError('broker-refused-subscription', data, error ?? undefined);
        this.#finish(refused);
        resolve(refused);
      });
    });
    const outcome = await Promise.race([granted, this.#ended]);
    silent();
    return outcome;
  }

  publish(topic: string, packet: Uint8Array): Promise<PublishOutcome> {
    if (this.#over !== undefined || this.#closing) return Promise.resolve('offline');
    if (packet.length + topic.length + PUBLISH_OVERHEAD > this.#largest) return Promise.resolve('too-large');
    return new Promise((settle) => {
      const pending = { topic, packet, settle };
      if (this.#sent.size < this.#window) this.#send(pending);
      else this.#waiting.push(pending);
    });
  }

  /** Waits a little for the broker's last answers, says goodbye, and lets go of the socket in any case. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#dropWaiting();
    const impatient = this.#clock.after(this.#limits.goodbye, () => {
      this.#finish(new MeshError('broker-silent', this.#named));
    });
    if (this.#client.connected) this.#client.end(false);
    else this.#finish(new MeshError('broker-lost', this.#named));
    await this.#ended;
    impatient();
  }

  get #named(): { readonly broker: string } {
    return { broker: this.#broker };
  }

  #listen(): void {
    const client = this.#client;
    client.on('error', (error) => {
      this.#cause ??= error;
      // MQTT.js goes on after what it cannot parse, and deaf: it then waits for answers that it has skipped.
      this.#finish(this.#why(isUnexplained(error) ? 'malformed packet' : undefined));
    });
    this.#stream.on('error', (error) => {
      this.#cause ??= error;
    });
    client.on('disconnect', ({ reasonCode }) => {
      this.#disconnectReason = reasonCode;
    });
    client.on('close', () => this.#finish(this.#why()));
    client.on('message', (topic, payload, { retain }) => {
      if (this.#over !== undefined || this.#closing) return;
      if (topic !== this.#plan.inbox) this.#events.discarded('foreign');
      else if (retain) this.#events.discarded('retained');
      else this.#events.packet(ownCopy(payload));
    });
  }

  #send(pending: Pending): void {
    if (this.#sent.size === 0) this.#lastAnswer = this.#clock.elapsed();
    this.#sent.add(pending);
    this.#watch ??= this.#clock.after(this.#limits.publishAnswer, () => this.#checkAnswers());
    const { packet } = pending;
    const payload = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
    this.#client.publish(pending.topic, payload, { qos: 1 }, (error) => {
      if (!this.#sent.delete(pending)) return;
      this.#lastAnswer = this.#clock.elapsed();
      pending.settle(error ? outcomeOf(error) : 'taken');
      if (this.#over === undefined && !this.#closing) this.#sendWaiting();
    });
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#sent.size < this.#window) {
      const next = this.#waiting.shift();
      if (next !== undefined) this.#send(next);
    }
  }

  /** A broker may be slow with one answer; one that has answered nothing for so long is gone or broken. */
  #checkAnswers(): void {
    this.#watch = undefined;
    if (this.#sent.size === 0) return;
    const left = this.#lastAnswer + this.#limits.publishAnswer - this.#clock.elapsed();
    if (left <= 0) this.#finish(new MeshError('broker-silent', this.#named));
    else this.#watch = this.#clock.after(left, () => this.#checkAnswers());
  }

  #why(protocolError?: string): MeshError {
    if (this.#disconnectReason !== undefined) {
      // "Normal disconnection" of a broker that has no better reason is a lost connection to us.
      return this.#disconnectReason === 0
        ? new MeshError('broker-lost', this.#named)
        : refusal(this.#broker, this.#disconnectReason);
    }
    const cause = this.#cause;
    if (cause instanceof Error && 'code' in cause && typeof cause.code === 'number') {
      return refusal(this.#broker, cause.code);
    }
    if (cause instanceof Error && /^(?:Keepalive|connack) timeout$/.test(cause.message)) {
      return new MeshError('broker-silent', this.#named, cause);
    }
    const reason = cause instanceof BrokenRule ? cause.message : protocolError;
    if (reason !== undefined) {
      return new MeshError('broker-protocol', { broker: this.#broker, reason }, cause);
    }
    return socketFailure(this.#broker, cause, true);
  }

  /** A broker of one version has its own words for "no" to the other; some have none. */
  #perhapsVersion(error: MeshError): boolean {
    if (error.code === 'broker-silent' || error.code === 'broker-lost') return true;
    if (error.code === 'broker-protocol' || error.code === 'broker-no-common-version') return true;
    const reason = error.data.reason;
    return this.version === 5 && typeof reason === 'number' && reason < 0x80;
  }

  #finish(error: MeshError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#watch?.();
    // MQTT.js hears of the end through its stream and stops its timers.
    this.#stream.destroy();
    this.#dropWaiting();
    for (const pending of this.#sent) pending.settle('offline');
    this.#sent.clear();
    this.#end(error);
  }

  #dropWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pending of waiting) pending.settle('offline');
  }
}

/** A payload is mostly a view of a socket's buffer, with other packets in it. */
function ownCopy(payload: Buffer): Uint8Array {
  const { buffer, byteLength } = payload;
  return buffer.byteLength === byteLength ? new Uint8Array(buffer) : new Uint8Array(payload);
}

/** The errors of sockets and brokers carry a code; the parser's do not. */
function isUnexplained(error: Error): boolean {
  return !('code' in error);
}

function outcomeOf(error: Error): PublishOutcome {
  const reason = 'code' in error ? error.code : undefined;
  if (reason === 0x87 || reason === 0x90) return 'not-allowed';
  return reason === 0x95 ? 'too-large' : 'offline';
}
