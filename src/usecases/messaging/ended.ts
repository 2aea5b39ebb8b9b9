/** How messages have ended, for a week of running time. */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { same } from '../../entities/outgoing-stream.ts';
import type { EndedRecord, MessageRecord } from '../ports/records.ts';
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

export function createEnded({ keystore, cycle, runningTime }: Office): Ended {
  async function find(lot: string, id: Uint8Array): Promise<Receipt | undefined> {
    const record = await keystore.read('ended', lot);
    const message = record?.messages.find((candidate) => same(candidate.id, id));
    return message === undefined ? undefined : receiptOf(message);
  }

  async function lots(): Promise<(readonly [string, EndedRecord])[]> {
    const found: (readonly [string, EndedRecord])[] = [];
    for (const key of keystore.keys('ended')) {
      const record = await keystore.read('ended', key);
      if (record !== undefined) found.push([key, record]);
    }
    return found;
  }

  return {
    async ofChosen(id) {
      const lot = await keystore.read('chosen', toHex(id));
      return lot === undefined ? undefined : find(String(lot), id);
    },

    async of(id) {
      for (const lot of keystore.keys('ended')) {
        const receipt = await find(lot, id);
        if (receipt !== undefined) return receipt;
      }
      return undefined;
    },

    async all() {
      const messages = (await lots()).flatMap(([, record]) => record.messages);
      return messages
        .map((message) => ({ ...receiptOf(message), sentAt: message.sentAt }))
        .sort((a, b) => a.sentAt - b.sentAt);
    },

    async forget() {
      for (const [key, record] of await lots()) {
        if (runningTime() - record.endedAt < VISIBLE) continue;
        for (const message of record.messages) {
          const id = toHex(message.id);
          if ((await keystore.read('chosen', id)) === Number(key))
            cycle.change('chosen', id, () => undefined);
        }
        cycle.change('ended', key, () => undefined);
      }
    },
  };
}

function receiptOf({ id, to }: MessageRecord): Receipt {
  return {
    id,
    to: to.map(({ device, end, mayHaveArrived, reason }) => {
      return { deviceId: device as DeviceId, state: end ?? 'delivered', mayHaveArrived, reason };
    }),
  };
}
