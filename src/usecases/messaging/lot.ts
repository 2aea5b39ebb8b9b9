/**
 * A lot: messages that were accepted in one step and are kept together until every recipient of each of them
 * has answered. Their payloads lie beside them, so that a start need not read them.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import type { GroupSessionId } from '../../entities/group-session.ts';
import type { Circle } from '../../entities/roster/circle.ts';
import type { AddresseeRecord, DeliveryEnd, LotRecord, MessageRecord } from '../ports/records.ts';

export interface Lot {
  readonly number: number;
  readonly run: Uint8Array;
  readonly messages: Message[];
  /** In memory while they are likely to be needed; see `outbox`. */
  goods: readonly Uint8Array[] | undefined;
  /** Addressees whose number has not been answered for. */
  unsettled: number;
  /** Messages that are not over for everybody. */
  open: number;
}

export interface Message {
  readonly id: Uint8Array;
  readonly sentAt: number;
  readonly expiresAt: number;
  readonly type: string;
  readonly thread: string | null;
  readonly group: Circle | null;
  readonly bytes: number;
  readonly to: Addressee[];
  /** For how many of them it is not over. With the last one it is freed, and takes no room any more. */
  open: number;
}

/** Why a message ended for a device that was taken out of the group to which it was addressed. */
export const NOT_IN_GROUP = 'not-in-group';

export interface SealedIn {
  readonly session: GroupSessionId;
  readonly index: number;
}

/** One message on its way to one recipient. */
export interface Addressee {
  readonly device: DeviceId;
  readonly lot: Lot;
  readonly index: number;
  readonly message: Message;
  stream: Uint8Array;
  number: number;
  /** Where the number was given by a later run than the lot's. */
  run: Uint8Array | null;
  end: DeliveryEnd | null;
  /** `end` is final. Before that it says what is to happen unless the recipient has it already. */
  over: boolean;
  mayHaveArrived: boolean;
  reason: string | null;
  /**
   * How often it was put into an envelope. Writing each down would cost a commit of the whole lot, so of earlier
   * lives of the program it is known whether there was one at all, which the stream tells, and seldom more.
   */
  attempts: number;
  /** Where it was last put into an envelope for its circle, if it was, in this life of the program. */
  sealedIn: SealedIn | undefined;
}

export function runOf(addressee: Addressee): Uint8Array {
  return addressee.run ?? addressee.lot.run;
}

export function lotRecord(lot: Lot): LotRecord {
  return { run: lot.run, messages: lot.messages.map(messageRecord) };
}

export function messageRecord(message: Message): MessageRecord {
  const { id, sentAt, expiresAt, type, thread, group, bytes } = message;
  return { id, sentAt, expiresAt, type, thread, group, bytes, to: message.to.map(addresseeRecord) };
}

function addresseeRecord(addressee: Addressee): AddresseeRecord {
  const { device, stream, number, run, end, over, mayHaveArrived, reason, attempts } = addressee;
  return { device, stream, number, run, end, over, mayHaveArrived, reason, attempts };
}

export function emptyLot(number: number, run: Uint8Array): Lot {
  return { number, run, messages: [], goods: undefined, unsettled: 0, open: 0 };
}

/** Takes it into the lot, without recipients as yet. */
export function addMessage(lot: Lot, draft: Omit<Message, 'to' | 'open'>): Message {
  const { id, sentAt, expiresAt, type, thread, group, bytes } = draft;
  const message: Message = { id, sentAt, expiresAt, type, thread, group, bytes, to: [], open: 0 };
  lot.messages.push(message);
  lot.open += 1;
  return message;
}

export function addAddressee(
  lot: Lot,
  message: Message,
  { device, stream, number, run, end, over, mayHaveArrived, reason, attempts = 0 }: AddresseeRecord,
): Addressee {
  const addressee: Addressee = {
    device: device as DeviceId,
    lot,
    index: lot.messages.length - 1,
    message,
    stream,
    number,
    run,
    end,
    over,
    mayHaveArrived,
    reason,
    attempts,
    sealedIn: undefined,
  };
  message.to.push(addressee);
  if (!over) message.open += 1;
  lot.unsettled += 1;
  return addressee;
}

/** As it was written down. */
export function lotFrom(number: number, { run, messages }: LotRecord): Lot {
  const lot = emptyLot(number, run);
  for (const record of messages) {
    const message = addMessage(lot, { ...record, group: record.group as Circle | null });
    for (const addressee of record.to) addAddressee(lot, message, addressee);
  }
  return lot;
}
