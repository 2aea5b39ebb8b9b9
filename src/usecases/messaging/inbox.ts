/**
 * What has arrived, batch by batch in the order of arrival, until its readers have had it. A reader is a cursor
 * with a name; it moves only when its reader says so.
 */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { ContentRecord } from '../../entities/wire/records.ts';
import type { CursorRecord, InboxMessageRecord, InboxRecord } from '../ports/records.ts';
import { DEFAULT_RETENTION, parseRetention } from '../settings.ts';
import type { Office } from './office.ts';

export const INBOX_BYTES = 1024 * 1024 * 1024;
const KEPT_AFTER_READING = 86_400_000;
const CACHED_BATCHES = 64;
const CACHED_BYTES = 4 * 1024 * 1024;

export interface InboxMessage extends InboxMessageRecord {
  readonly from: DeviceId;
  readonly receivedAt: number;
  /** Where it stands: what a cursor holds once it has passed this message. */
  readonly after: CursorRecord;
}

interface Held {
  readonly number: number;
  readonly bytes: number;
  /** Running time at its arrival. */
  readonly arrived: number;
  readonly key: string;
  /** Running time since which every cursor has passed it. */
  passed: number | undefined;
}

export interface Delivered {
  readonly number: number;
  readonly content: ContentRecord;
}

export interface Inbox {
  hasRoomFor(bytes: number): boolean;
  deliver(from: DeviceId, stream: Uint8Array, records: readonly Delivered[]): void;
  /** The cursor's position; a new cursor stands before the oldest message. */
  cursor(name: string): CursorRecord;
  /** The next messages from a position on, of at least one batch where there is one. */
  read(from: CursorRecord): Promise<readonly InboxMessage[]>;
  /** Resolves once the move is durable. */
  move(name: string, to: CursorRecord): Promise<void>;
  forgetCursor(name: string): Promise<void>;
  /** Ids of all that is still here from this device. */
  idsFrom(device: DeviceId): Promise<Set<string>>;
  /** Lets go of what was kept long enough, by the setting as it stands now. */
  sweep(): Promise<void>;
  load(): Promise<void>;
  stats(): { readonly batches: number; readonly bytes: number };
}

export function createInbox(
  office: Pick<Office, 'cycle' | 'keystore' | 'clock' | 'runningTime' | 'tell'>,
): Inbox {
  const { cycle, keystore, clock, runningTime } = office;
  /** Durable batches only, by ascending number. */
  let held: Held[] = [];
  let next = 1;
  /** Every batch below is durable: here a reader begins where nothing is held. */
  let durableBelow = 1;
  let bytesHeld = 0;
  const cache = new Map<number, InboxRecord>();
  let cachedBytes = 0;
  const positions = new Map<string, CursorRecord>();

  function remember(number: number, record: InboxRecord, bytes: number): void {
    if (bytes > CACHED_BYTES) return;
    cache.set(number, record);
    cachedBytes += bytes;
    for (const [oldest, cached] of cache) {
      if (cache.size <= CACHED_BATCHES && cachedBytes <= CACHED_BYTES) return;
      cache.delete(oldest);
      cachedBytes -= payloadBytes(cached.messages);
    }
  }

  function indexFrom(batch: number): number {
    let low = 0;
    let high = held.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((held[middle]?.number ?? 0) < batch) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async function recordOf(entry: Held): Promise<InboxRecord | undefined> {
    return cache.get(entry.number) ?? (await keystore.read('inbox', entry.key));
  }

  /** The caller takes it out of `held`, by a new array: `read` may be on its way through this one. */
  function remove(entry: Held): void {
    bytesHeld -= entry.bytes;
    cycle.change('inbox', entry.key, () => undefined);
  }

  /** Makes room from what every reader has had, the oldest first. */
  function makeRoom(bytes: number): void {
    const lowest = lowestPosition();
    let count = 0;
    for (const oldest of held) {
      if (bytesHeld + bytes <= INBOX_BYTES || lowest === undefined || oldest.number >= lowest) break;
      remove(oldest);
      count++;
    }
    if (count > 0) held = held.slice(count);
  }

  function lowestPosition(): number | undefined {
    if (positions.size === 0) return undefined;
    return Math.min(...[...positions.values()].map((position) => position.batch));
  }

  return {
    hasRoomFor(bytes) {
      makeRoom(bytes);
      return bytesHeld + bytes <= INBOX_BYTES;
    },

    deliver(from, stream, records) {
      const receivedAt = clock.now();
      const messages: InboxMessageRecord[] = records.map(({ number, content }) => {
        const { id, sentAt, type, thread, group, payload } = content;
        return { id, number, sentAt, type, thread, group, payload };
      });
      const number = next++;
      const bytes = payloadBytes(messages);
      const arrived = Math.floor(runningTime());
      const key = `${number}.${bytes}.${arrived}`;
      const record: InboxRecord = { from, stream, receivedAt, messages };
      bytesHeld += bytes;
      cycle.change('inbox', key, () => record);
      cycle.afterwards(() => {
        durableBelow = number + 1;
        held.push({ number, bytes, arrived, key, passed: undefined });
        remember(number, record, bytes);
        office.tell({ kind: 'received', from, batch: number });
      });
    },

    cursor(name) {
      return positions.get(name) ?? { batch: held[0]?.number ?? durableBelow, index: 0 };
    },

    async read(from) {
      const found: InboxMessage[] = [];
      const entries = held;
      for (let i = indexFrom(from.batch); i < entries.length && found.length === 0; i++) {
        const entry = entries[i];
        const record = entry === undefined ? undefined : await recordOf(entry);
        if (entry === undefined || record === undefined) continue;
        record.messages.forEach((message, index) => {
          if (entry.number === from.batch && index < from.index) return;
          const last = index === record.messages.length - 1;
          const after = last
            ? { batch: entry.number + 1, index: 0 }
            : { batch: entry.number, index: index + 1 };
          found.push({ ...message, from: record.from as DeviceId, receivedAt: record.receivedAt, after });
        });
      }
      return found;
    },

    move(name, to) {
      return new Promise((resolve) => {
        cycle.change('cursor', name, () => to);
        cycle.afterwards(() => {
          positions.set(name, to);
          resolve();
        });
      });
    },

    forgetCursor(name) {
      return new Promise((resolve) => {
        cycle.change('cursor', name, () => undefined);
        cycle.afterwards(() => {
          positions.delete(name);
          resolve();
        });
      });
    },

    async idsFrom(device) {
      const ids = new Set<string>();
      for (const entry of held) {
        const record = await recordOf(entry);
        if (record?.from !== device) continue;
        for (const message of record.messages) ids.add(toHex(message.id));
      }
      return ids;
    },

    async sweep() {
      const setting = await keystore.read('setting', 'retention');
      const retention = (setting === undefined ? undefined : parseRetention(setting)) ?? DEFAULT_RETENTION;
      const now = runningTime();
      const lowest = lowestPosition();
      held = held.filter((entry) => {
        const passed = lowest !== undefined && entry.number < lowest;
        if (passed) entry.passed ??= now;
        const readLongAgo = entry.passed !== undefined && now - entry.passed >= KEPT_AFTER_READING;
        if (!readLongAgo && now - entry.arrived < retention) return true;
        remove(entry);
        return false;
      });
    },

    async load() {
      for (const name of keystore.keys('cursor')) {
        const position = await keystore.read('cursor', name);
        if (position !== undefined) positions.set(name, position);
      }
      held = keystore
        .keys('inbox')
        .map((key): Held => {
          const [number = 0, bytes = 0, arrived = 0] = key.split('.').map(Number);
          return { number, bytes, arrived, key, passed: undefined };
        })
        .sort((a, b) => a.number - b.number);
      bytesHeld = held.reduce((sum, entry) => sum + entry.bytes, 0);
      // Not below where any reader stands, though what it has read may all be gone.
      const read = [...positions.values()].map((position) => position.batch);
      next = Math.max((held.at(-1)?.number ?? 0) + 1, ...read);
      durableBelow = next;
    },

    stats: () => ({ batches: held.length, bytes: bytesHeld }),
  };
}

function payloadBytes(messages: readonly InboxMessageRecord[]): number {
  return messages.reduce((sum, message) => sum + message.payload.length + 128, 0);
}
