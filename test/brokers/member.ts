/** A device of the scenario: its daemon comes and goes, and what it has said is written down. */
import { createHash } from 'node:crypto';
import { isObject, type Json } from '../../src/adapters/rpc/protocol.ts';
import { patientClient } from '../endurance/caller.ts';
import { as, type Event, type MeshProcess, mesh, up } from '../process/mesh-process.ts';
import type { Place } from '../process/pairing-cast.ts';

interface Said {
  readonly digest: string;
  /** Device ids. */
  readonly to: readonly string[];
}

export class Member {
  readonly place: Place;
  readonly deviceId: string;
  readonly upOptions: readonly string[];
  readonly said: Said[] = [];
  #daemon: MeshProcess | undefined;

  constructor(place: Place, deviceId: string, upOptions: readonly string[] = []) {
    this.place = place;
    this.deviceId = deviceId;
    this.upOptions = upOptions;
  }

  get isUp(): boolean {
    return this.#daemon !== undefined;
  }

  async start(): Promise<void> {
    this.#daemon = await up(this.place as Parameters<typeof up>[0], ...this.upOptions);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const ending = this.#daemon;
    this.#daemon = undefined;
    await ending?.stop(signal);
  }

  async set(key: string, value: string): Promise<void> {
    await this.call('config.set', { key, value });
  }

  /** Asks the daemon, and again where it was gone in between: what is asked for here may be asked for twice. */
  async call(method: string, params: Parameters<Caller>[1]): Promise<Json> {
    for (;;) {
      const client = await patientClient(this.place.home);
      try {
        return await client.call(method, params);
      } catch (error) {
        if (!isGone(error)) throw error;
      } finally {
        client.close();
      }
    }
  }

  /** To everybody else. Resolves when it is accepted, which is when it has to arrive. */
  async say(payload: Uint8Array): Promise<void> {
    const id = `${this.place.name} ${this.said.length}`;
    const data = Buffer.from(payload).toString('base64');
    const sent = await this.call('send', { target: 'all', data, id, wait: 'accepted' });
    const to = isObject(sent) && Array.isArray(sent.to) ? sent.to.filter(isObject) : [];
    this.said.push({ digest: digestOf(payload), to: to.map(({ deviceId }) => String(deviceId)) });
  }

  /** Text, bytes that are no text, and now and then the most that a message may hold. */
  async sayAll(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.say(payloadOf(`${this.place.name} ${this.said.length}`, i));
  }

  /** How far what is still open has come, by recipient. */
  async outbox(): Promise<readonly { readonly deviceId: string; readonly state: string }[]> {
    const open = await this.call('outbox', {});
    const receipts = Array.isArray(open) ? open.filter(isObject) : [];
    return receipts.flatMap(({ to }) =>
      (Array.isArray(to) ? to.filter(isObject) : []).map(({ deviceId, state }) => ({
        deviceId: String(deviceId),
        state: String(state),
      })),
    );
  }

  /** Everything that has arrived so far and is new to this cursor; waits for `count`. */
  async listen(cursor: string, count: number): Promise<readonly Event[]> {
    const limits = ['--count', String(count), '--timeout', '60s'];
    const heard = await mesh(['listen', '--cursor', cursor, ...limits, ...as(this.place)]);
    if (heard.status !== 0) {
      throw new Error(
        `${this.place.name} heard ${heard.events.length} of ${count}: ${heard.events.at(-1)?.code}`,
      );
    }
    return heard.events;
  }
}

type Caller = Awaited<ReturnType<typeof patientClient>>['call'];

const isGone = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['daemon-gone', 'daemon-stopping'].includes(String(error.code));

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** What `listen` has printed, as it was said. */
export function payloadOfEvent({ text, data }: Event): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(String(data), 'base64');
}

const LARGEST = 64 * 1024;

function payloadOf(mark: string, i: number): Uint8Array {
  if (i % 10 === 9) {
    const large = new Uint8Array(LARGEST);
    for (let at = 0; at < LARGEST; at++) large[at] = (at * 31 + (at >> 8)) & 0xff;
    large.set(Buffer.from(mark));
    return large;
  }
  // 0xff is in no UTF-8 text.
  return i % 3 === 1 ? Uint8Array.of(0xff, 0, ...Buffer.from(mark)) : Buffer.from(`${mark} ✓`);
}
