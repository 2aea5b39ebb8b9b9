/** How messages have ended, for a week of running time. */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { same } from '../../entities/outgoing-stream.ts';
import type { Circle } from '../../entities/roster/circle.ts';
import type { MessageRecord } from '../ports/records.ts';
import type { Office } from './office.ts';
import type { Receipt } from './outbox.ts';

const VISIBLE = 7 * 86_400_000;

export interface Ended {
  /** Of a message whose id the caller chose. */
  ofChosen(id: Uint8Array): Promise<Receipt | undefined>;
  /** Of any message; it may have to look through a week of them. */
  of(id: Uint8Array): Promise<Receipt | undefined>;
  all(): Promise<readonly (Receipt & { readonly sentAt: number })[]>;
  forget(): Promise<void>;
}

/** The key says when, so that what is to be forgotten is found without reading what is not. */
export function endedKey(lot: number, endedAt: number): string {
  return `${lot}.${endedAt}`;
}

export function lotOfEnded(key: string): number {
  return fieldsOf(key)[0];
}

/** The highest number that was given to a lot, of those on their way and those that ended; there may be many. */
export function lastLot(open: readonly string[], ended: readonly string[]): number {
  const last = open.reduce((highest, key) => Math.max(highest, Number(key)), 0);
  return ended.reduce((highest, key) => Math.max(highest, lotOfEnded(key)), last);
}

export function createEnded({
  keystore,
  cycle,
  runningTime,
}: Pick<Office, 'keystore' | 'cycle' | 'runningTime'>): Ended {
  /** By lot; may name what is forgotten, and not yet what has just ended. */
  let known: ReadonlyMap<number, string> = new Map();

  function keyOf(lot: number): string | undefined {
    if (!known.has(lot)) known = new Map(keystore.keys('ended').map((key) => [lotOfEnded(key), key]));
    return known.get(lot);
  }

  async function find(key: string, id: Uint8Array): Promise<Receipt | undefined> {
    const record = await keystore.read('ended', key);
    const message = record?.messages.find((candidate) => same(candidate.id, id));
    return message === undefined ? undefined : receiptOf(message);
  }

  return {
    async ofChosen(id) {
      const lot = await keystore.read('chosen', toHex(id));
      const key = lot === undefined ? undefined : keyOf(lot);
      return key === undefined ? undefined : find(key, id);
    },

    async of(id) {
      for (const key of keystore.keys('ended')) {
        const receipt = await find(key, id);
        if (receipt !== undefined) return receipt;
      }
      return undefined;
    },

    async all() {
      const messages: MessageRecord[] = [];
      for (const key of keystore.keys('ended')) {
        messages.push(...((await keystore.read('ended', key))?.messages ?? []));
      }
      return messages
        .map((message) => ({ ...receiptOf(message), sentAt: message.sentAt }))
        .sort((a, b) => a.sentAt - b.sentAt);
    },

    async forget() {
      for (const key of keystore.keys('ended')) {
        const [lot, endedAt] = fieldsOf(key);
        if (runningTime() - endedAt < VISIBLE) continue;
        const record = await keystore.read('ended', key);
        for (const message of record?.messages ?? []) {
          const id = toHex(message.id);
          if ((await keystore.read('chosen', id)) === lot) cycle.change('chosen', id, () => undefined);
        }
        cycle.change('ended', key, () => undefined);
      }
    },
  };
}

function fieldsOf(key: string): readonly [lot: number, endedAt: number] {
  const [lot = 0, endedAt = 0] = key.split('.').map(Number);
  return [lot, endedAt];
}

function receiptOf({ id, group, to }: MessageRecord): Receipt {
  return {
    id,
    group: group as Circle | null,
    to: to.map(({ device, end, mayHaveArrived, reason, attempts = 0 }) => {
      return { deviceId: device as DeviceId, state: end ?? 'delivered', mayHaveArrived, reason, attempts };
    }),
  };
}
