/** The transport over an MQTT broker that a person brings. */
import type { BrokerUrl } from '../../entities/broker-url.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import type { Cancel } from '../../usecases/ports/clock.ts';
import type { PublishOutcome, Transport, TransportEvents } from '../../usecases/ports/transport.ts';
import { Connection, type ConnectionEvents, type HelloFailure } from './connection.ts';
import { isPermanent } from './failures.ts';
import { type MqttPlatform, type MqttSettings, type Plan, type ProtocolVersion, plan } from './settings.ts';
import { openSocket } from './socket.ts';

export interface MqttStatus {
  readonly broker: string | undefined;
  readonly version: ProtocolVersion | undefined;
  /** Packets that came with the retain flag: somebody left them at the broker, nobody sent them now. */
  readonly discardedRetained: number;
  /** Packets of a topic that we have not asked for. */
  readonly discardedForeign: number;
  /** Packets above our limit, of which the payload was thrown away. */
  readonly hollowedOut: number;
}

interface Established {
  readonly connection: Connection;
  readonly url: BrokerUrl;
  readonly resumed: boolean;
}

type Attempt = Established | HelloFailure;

/** This many in a row, for each URL, are not an accident: a cluster that elects hangs up on everybody for a while. */
const SHORT_LIVES = 3;

export class MqttTransport implements Transport {
  readonly #plan: Plan;
  readonly #platform: MqttPlatform;
  #events: TransportEvents | undefined;
  #running: Promise<void> | undefined;
  #connection: Connection | undefined;
  #url: BrokerUrl | undefined;
  readonly #stop = new AbortController();
  /** The last connection ended between the broker's welcome and our subscription. */
  #subscriptionInDoubt = false;
  #failuresInARow = 0;
  #shortLivesInARow = 0;
  /** Where the next round begins: behind a server that has just hung up on us. */
  #first = 0;
  /** Whole rounds over all URLs without a connection, since there was one. */
  #roundsInVain = 0;
  #told: ErrorCode | undefined;
  readonly #discarded = { retained: 0, foreign: 0, oversized: 0 };

  /** Throws a `MeshError` where the settings cannot work whatever the broker says. */
  constructor(settings: MqttSettings, platform: MqttPlatform) {
    this.#plan = plan(settings);
    this.#platform = platform;
  }

  open(events: TransportEvents): void {
    if (this.#events !== undefined) throw new Error('a transport was opened twice');
    this.#events = events;
    this.#running = this.#run(events);
  }

  publish(to: DeviceId, packet: Uint8Array): Promise<PublishOutcome> {
    if (this.#connection === undefined) return Promise.resolve('offline');
    return this.#connection.publish(this.#plan.prefix + to, packet);
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('closed'));
    await this.#connection?.close();
    await this.#running;
  }

  status(): MqttStatus {
    return {
      broker: this.#url?.name,
      version: this.#connection?.version,
      discardedRetained: this.#discarded.retained,
      discardedForeign: this.#discarded.foreign,
      hollowedOut: this.#discarded.oversized,
    };
  }

  get #closed(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(events: TransportEvents): Promise<void> {
    while (!this.#closed) {
      const attempt = await this.#tryAll();
      if (this.#closed) {
        if ('connection' in attempt) await attempt.connection.close();
        return;
      }
      const error = 'connection' in attempt ? await this.#live(attempt, events) : attempt.error;
      if (this.#closed) return;
      const permanent = isPermanent(error);
      if (this.#told !== error.code) {
        this.#told = error.code;
        events.disconnected({ error, permanent });
      }
      // Whoever was told may have had enough.
      if (this.#closed) return;
      await this.#pause(permanent ? this.#plan.limits.refusedPause : this.#backoff());
    }
  }

  async #live({ connection, url, resumed }: Established, events: TransportEvents): Promise<MeshError> {
    const { clock } = this.#platform;
    const since = clock.elapsed();
    this.#connection = connection;
    this.#url = url;
    this.#told = undefined;
    events.connected({ broker: url.name, resumed });
    const error = await connection.ended;
    this.#connection = undefined;
    this.#url = undefined;
    const lived = clock.elapsed() - since;
    if (lived >= this.#plan.limits.stable) this.#failuresInARow = 0;
    const cutShort = error.code === 'broker-lost' && lived < this.#plan.limits.shortLived;
    const { urls } = this.#plan;
    this.#shortLivesInARow = cutShort ? this.#shortLivesInARow + 1 : 0;
    this.#first = cutShort ? (urls.indexOf(url) + 1) % urls.length : 0;
    if (this.#shortLivesInARow < SHORT_LIVES * urls.length) return error;
    // MQTT 3.1.1 has no word for "taken over", and none for "you must not": the broker just hangs up.
    this.#shortLivesInARow = 0;
    return new MeshError('broker-keeps-closing', { broker: url.name }, error);
  }

  /** One round over all URLs. Of several failures the one is told that a person can do something about. */
  async #tryAll(): Promise<Attempt> {
    let worst: HelloFailure | undefined;
    const { urls, limits } = this.#plan;
    // A server of a cluster that has lost the others takes calls and says nothing. Who has just been connected asks
    // the next one soon; who finds that none is quick, waits for each as long as for a single one.
    const patience = urls.length > 1 && this.#roundsInVain === 0 ? limits.versionAnswer : limits.connect;
    for (const url of [...urls.slice(this.#first), ...urls.slice(0, this.#first)]) {
      const attempt = await this.#tryOne(url, patience);
      if ('connection' in attempt) this.#roundsInVain = 0;
      if ('connection' in attempt || this.#closed) return attempt;
      if (worst === undefined || (isPermanent(attempt.error) && !isPermanent(worst.error))) worst = attempt;
    }
    if (worst === undefined) throw new Error('a plan without URLs');
    this.#roundsInVain += 1;
    // Who evicts us goes on listening; here nobody did.
    this.#shortLivesInARow = 0;
    return worst;
  }

  /** MQTT 5 first, unless this broker is known not to speak it. */
  async #tryOne(url: BrokerUrl, patience: number): Promise<Attempt> {
    const { versions } = this.#platform;
    const key = url.name + url.path;
    const known = versions.get(key);
    const first = await this.#try(url, known ?? 5, patience, known === undefined);
    if ('connection' in first) {
      versions.set(key, first.connection.version);
      return first;
    }
    if (!first.perhapsVersion || this.#closed) return first;
    if (known === 4) {
      // It may have been updated, or replaced by another one.
      versions.delete(key);
      return first;
    }
    // Who once spoke MQTT 5 and hangs up now is restarting, not of another version, unless it says so.
    if (known === 5 && first.error.code !== 'broker-no-common-version') return first;
    const second = await this.#try(url, 4, patience, false);
    if ('connection' in second) versions.set(key, 4);
    return second;
  }

  async #try(url: BrokerUrl, version: ProtocolVersion, patience: number, isGuess: boolean): Promise<Attempt> {
    const { clock } = this.#platform;
    const { limits } = this.#plan;
    const deadline = clock.elapsed() + patience;
    const attempt = new AbortController();
    const stop = (): void => attempt.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener('abort', stop, { once: true });
    if (this.#closed) stop();
    const late = clock.after(patience, () => {
      attempt.abort(new MeshError('broker-unreachable', { broker: url.name, detail: 'no answer in time' }));
    });
    let connection: Connection | undefined;
    try {
      const socket = await openSocket(url, this.#plan, attempt.signal);
      connection = new Connection(socket, url, this.#plan, version, clock, this.#connectionEvents());
      const live = connection;
      attempt.signal.addEventListener('abort', () => void live.close(), { once: true });
      late();
      const hello = await live.hello(isGuess ? limits.versionAnswer : deadline - clock.elapsed());
      if ('error' in hello) return hello;
      const inDoubt = this.#subscriptionInDoubt;
      this.#subscriptionInDoubt = true;
      const error = await live.subscribe(deadline - clock.elapsed());
      if (error !== undefined) return { error, perhapsVersion: false };
      this.#subscriptionInDoubt = false;
      return { connection: live, url, resumed: hello.resumed && !inDoubt };
    } catch (error) {
      if (error instanceof MeshError) return { error, perhapsVersion: false };
      throw error;
    } finally {
      late();
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }

  #connectionEvents(): ConnectionEvents {
    return {
      packet: (bytes) => {
        if (!this.#closed) this.#events?.packet(bytes);
      },
      discarded: (why) => {
        this.#discarded[why] += 1;
      },
    };
  }

  /** Doubles, and scatters over its upper half, so that a mesh does not come back to its broker in step. */
  #backoff(): number {
    const { firstPause, longestPause } = this.#plan.limits;
    const whole = Math.min(longestPause, firstPause * 2 ** Math.min(this.#failuresInARow, 30));
    this.#failuresInARow += 1;
    const [high = 0, low = 0] = this.#platform.randomness(2);
    return (whole * (1 + (high * 256 + low) / 65_536)) / 2;
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => undefined;
      const { signal } = this.#stop;
      const over = (): void => {
        cancel();
        signal.removeEventListener('abort', over);
        resolve();
      };
      cancel = this.#platform.clock.after(delay, over);
      signal.addEventListener('abort', over, { once: true });
    });
  }
}
