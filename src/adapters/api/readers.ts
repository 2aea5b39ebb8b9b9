/**
 * Readers of the inbox. A reader gets a few messages ahead and says of each when it is done with it; only then
 * does its cursor move, durably. So a reader that is killed loses nothing, and one that does not read costs
 * nothing but those few.
 */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import { type Circle, parseCircle } from '../../entities/roster/circle.ts';
import { fromUtf8 } from '../../entities/text.ts';
import { groupTitle } from '../../usecases/membership/find-group.ts';
import type { InboxMessage } from '../../usecases/messaging/inbox.ts';
import type { CursorRecord } from '../../usecases/ports/records.ts';
import type { JsonObject } from '../rpc/protocol.ts';
import type { Caller, MethodTable } from '../rpc/server.ts';
import { deviceNamed, nameOf } from './devices.ts';
import { circleNamed } from './groups.ts';
import { count, flag, optionalCount, optionalText } from './params.ts';
import type { ApiPorts, Base64 } from './ports.ts';

type ReaderPorts = Pick<ApiPorts, 'messenger' | 'membership' | 'clock' | 'base64' | 'online' | 'fatal'>;

const AHEAD_MESSAGES = 64;
const AHEAD_BYTES = 512 * 1024;

interface Filters {
  readonly from: DeviceId | undefined;
  readonly thread: string | undefined;
  readonly group: Circle | undefined;
}

export interface ReaderStatus {
  readonly cursor: string;
  /** What the reader's command complains of, if it does. */
  readonly attempts: number;
  readonly error: string | null;
}

export interface Readers {
  readonly methods: MethodTable;
  status(): readonly ReaderStatus[];
}

export function createReaders(ports: ReaderPorts): Readers {
  const { messenger } = ports;
  const readers = new Map<number, Reader>();
  let last = 0;

  messenger.listen((news) => {
    if (news.kind === 'received') for (const reader of readers.values()) reader.pump();
  });

  const readerOf = (params: JsonObject, caller: Caller): Reader => {
    const reader = readers.get(count(params, 'subscription'));
    // A subscription belongs to the connection that made it.
    if (reader?.caller !== caller) throw new MeshError('rpc-params-invalid', { name: 'subscription' });
    return reader;
  };

  return {
    status: () => [...readers.values()].map((reader) => reader.status()),
    methods: {
      async listen(params, caller) {
        const from = optionalText(params, 'from');
        const group = optionalText(params, 'group');
        const filters: Filters = {
          from: from === undefined ? undefined : deviceNamed(ports, from).id,
          thread: optionalText(params, 'thread'),
          group: group === undefined ? undefined : circleNamed(ports, group),
        };
        const named = optionalText(params, 'cursor');
        const cursor = named === undefined ? defaultCursor(filters) : `name ${named}`;
        const peek = flag(params, 'peek');
        const taken = [...readers.values()].some((other) => !other.peek && other.cursor === cursor);
        if (!peek && taken) throw new MeshError('cursor-in-use', { cursor: named ?? 'default' });
        const subscription = ++last;
        const reader = new Reader(ports, { subscription, caller, cursor, peek, filters });
        readers.set(subscription, reader);
        caller.onGone(() => {
          reader.stop();
          readers.delete(subscription);
        });
        // Connecting may take its time; what is here already can be read meanwhile.
        void ports.online();
        // Behind the answer, so that the caller knows its subscription before the first message comes.
        ports.clock.after(0, () => reader.pump());
        return { subscription, cursor };
      },
      /** The reader is done with this message and all before it; answered once that is durable. */
      async 'listen.done'(params, caller) {
        await readerOf(params, caller).done(count(params, 'number'));
        return null;
      },
      /** The reader's command failed and will be tried again. */
      async 'listen.trouble'(params, caller) {
        const attempts = optionalCount(params, 'attempts') ?? 0;
        readerOf(params, caller).trouble(attempts, optionalText(params, 'error') ?? null);
        return null;
      },
    },
  };
}

interface ReaderParts {
  readonly subscription: number;
  readonly caller: Caller;
  readonly cursor: string;
  readonly peek: boolean;
  readonly filters: Filters;
}

class Reader {
  readonly caller: Caller;
  readonly cursor: string;
  readonly peek: boolean;
  readonly #ports: ReaderPorts;
  readonly #parts: ReaderParts;
  #next: CursorRecord;
  /** What was handed over and is not done with, in order. */
  #ahead: { readonly number: number; readonly bytes: number; after: CursorRecord }[] = [];
  #bytesAhead = 0;
  #number = 0;
  #pumping = false;
  #again = false;
  #stopped = false;
  #attempts = 0;
  #error: string | null = null;

  constructor(ports: ReaderPorts, parts: ReaderParts) {
    this.#ports = ports;
    this.#parts = parts;
    this.caller = parts.caller;
    this.cursor = parts.cursor;
    this.peek = parts.peek;
    this.#next = ports.messenger.inbox.cursor(parts.cursor);
  }

  status(): ReaderStatus {
    return { cursor: this.cursor, attempts: this.#attempts, error: this.#error };
  }

  stop(): void {
    this.#stopped = true;
  }

  trouble(attempts: number, error: string | null): void {
    this.#attempts = attempts;
    this.#error = error;
  }

  async done(number: number): Promise<void> {
    let passed: CursorRecord | undefined;
    for (let first = this.#ahead[0]; first !== undefined && first.number <= number; first = this.#ahead[0]) {
      this.#ahead.shift();
      this.#bytesAhead -= first.bytes;
      passed = first.after;
    }
    if (passed === undefined) return;
    this.trouble(0, null);
    this.pump();
    if (!this.peek) await this.#ports.messenger.inbox.move(this.cursor, passed);
  }

  /** Hands over what there is, as far as the reader may be ahead. */
  pump(): void {
    this.#again = true;
    if (this.#pumping) return;
    this.#pumping = true;
    this.#run().then(
      () => {
        this.#pumping = false;
      },
      (error: unknown) => {
        // Its client has gone, or all of this is being closed: nobody waits for what could not be read.
        if (this.#stopped) return;
        this.#stopped = true;
        this.#ports.fatal(error);
      },
    );
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      while (this.#hasRoom()) {
        const messages = await this.#ports.messenger.inbox.read(this.#next);
        if (messages.length === 0) break;
        for (const message of messages) {
          if (!this.#hasRoom()) break;
          this.#take(message);
        }
      }
    }
  }

  #hasRoom(): boolean {
    return !this.#stopped && this.#ahead.length < AHEAD_MESSAGES && this.#bytesAhead < AHEAD_BYTES;
  }

  #take(message: InboxMessage): void {
    this.#next = message.after;
    const { from, thread, group } = this.#parts.filters;
    const wanted =
      (from === undefined || message.from === from) &&
      (thread === undefined || message.thread === thread) &&
      (group === undefined || message.group === group);
    const last = this.#ahead.at(-1);
    if (!wanted) {
      // Passed together with the one before it.
      if (last !== undefined) last.after = message.after;
      return;
    }
    const number = ++this.#number;
    const bytes = message.payload.length;
    this.#ahead.push({ number, bytes, after: message.after });
    this.#bytesAhead += bytes;
    const { subscription } = this.#parts;
    this.caller.notify('message', { subscription, number, message: this.#present(message) });
  }

  #present(message: InboxMessage): JsonObject {
    const membership = this.#ports.membership();
    const device = membership.roster.devices.get(message.from);
    const circle = message.group === null ? undefined : parseCircle(message.group);
    return {
      event: 'message',
      id: toHex(message.id),
      from: message.from,
      fromName: device === undefined ? message.from : nameOf(device),
      group: circle === undefined ? null : groupTitle(membership, circle),
      groupId: circle ?? null,
      thread: message.thread,
      type: message.type,
      sentAt: message.sentAt,
      receivedAt: message.receivedAt,
      seq: message.number,
      ...presentPayload(this.#ports.base64, message.payload),
    };
  }
}

function presentPayload({ encode }: Base64, payload: Uint8Array): JsonObject {
  const text = fromUtf8(payload);
  if (text !== undefined) return { text };
  const data = encode(payload);
  return { data: data.padEnd(Math.ceil(data.length / 4) * 4, '=') };
}

/** Each set of filters has a place of its own. */
function defaultCursor({ from, thread, group }: Filters): string {
  const filters = [from ?? null, thread ?? null, ...(group === undefined ? [] : [group])];
  return `filters ${JSON.stringify(filters)}`;
}
