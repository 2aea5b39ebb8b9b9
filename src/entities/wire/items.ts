/** The items of a parcel. */
import { DEVICE_ID_BYTES } from '../device-id.ts';
import type { AgreementKey, KeyRefusal } from '../keys.ts';
import type { Result } from '../result.ts';
import type { Value } from './cbor.ts';
import { isBytes, isCount, isList, isListOf, NONCE_BYTES, readKeys } from './envelope.ts';
import { GROUP_ITEM, type GroupItem, groupItemFields, readGroupItem } from './group-items.ts';
import { readRecord, recordFields, type StreamRecord } from './records.ts';

export const STREAM_ID_BYTES = 16;
export const RUN_BYTES = 8;
export const MAX_PAYLOAD_BYTES = 64 * 1024;
export const MAX_RECORDS = 1024;
export const MAX_LINE = 64;
const MAX_ENTRIES = 512;
/** Of one batch: no more can stand beside a parcel. */
export const MAX_GROUP_RECORDS = 256;
/** A device id takes twenty; an author of another kind may take more. */
const MAX_AUTHOR_BYTES = 64;

/** Records of one stream, one after the other, beginning with number `first`. */
export interface BatchItem {
  readonly kind: 'batch';
  readonly stream: Uint8Array;
  /** The run of the sender's program that gave these records their numbers. */
  readonly run: Uint8Array;
  /** The run that gave the number before `first`; empty where there is none, or the sender cannot know. */
  readonly after: Uint8Array;
  /**
   * True where these records had other numbers before, because the sender was found to be an old copy of
   * itself: then the recipient may hold one of them already, and knows it by its message id.
   */
  readonly moved: boolean;
  /** The lowest number that the sender still holds. */
  readonly low: number;
  readonly first: number;
  readonly records: readonly StreamRecord[];
}

/** From which number on a stream's records were numbered by which run; a run of zeros: by none. */
export type Line = readonly (readonly [run: Uint8Array, from: number])[];

/**
 * What the recipient lacks, for the sender to act upon: records between `through` and others that have arrived,
 * or room for any more.
 */
export type Need = 'nothing' | 'missing' | 'room';
const NEED: readonly Need[] = ['nothing', 'missing', 'room'];

/** How far a stream has been received. */
export interface AckItem {
  readonly kind: 'ack';
  readonly stream: Uint8Array;
  readonly through: number;
  /** The run that numbered the record `through`, so that the sender can tell it from another of that number. */
  readonly run: Uint8Array;
  /** Numbers up to `through` that held no payload when they were received, as far as still remembered. */
  readonly skipped: readonly number[];
  /** Numbers up to `through` that could not be taken: of an unknown kind, or unreadable. */
  readonly refused: readonly number[];
  readonly need: Need;
}

/** The end of one chain of the membership log: whose it is, how long, and the hash of its last entry. */
export interface HeadMark {
  readonly author: Uint8Array;
  readonly sequence: number;
  readonly hash: Uint8Array;
}

export interface ReceivedMark {
  readonly stream: Uint8Array;
  readonly through: number;
  readonly line: Line;
  /** Numbers up to `through` that held no payload, as far as still remembered. */
  readonly skipped: readonly number[];
}

/** What each end holds. */
export interface HelloItem {
  readonly kind: 'hello';
  readonly nonce: Uint8Array;
  /** The nonce of the greeting or hello that this answers. */
  readonly answering: Uint8Array | null;
  /** The stream that the sender receives from the recipient, how far, and by which runs it was numbered. */
  readonly received: ReceivedMark | null;
  /** The stream that it sends: the lowest number still held, and the one after the last. */
  readonly sending: { readonly stream: Uint8Array; readonly low: number; readonly next: number } | null;
  /** The last entry of each chain of the membership log. */
  readonly heads: readonly HeadMark[];
  /** How many one-time keys of the recipient the sender has left. */
  readonly keysLeft: number;
  /** When other members last answered the sender: in milliseconds before this was sent, and never too few. */
  readonly heard: readonly { readonly device: Uint8Array; readonly ago: number }[];
}

/** One-time keys reserved for the recipient; they replace all that it holds. */
export interface KeysItem {
  readonly kind: 'keys';
  readonly keys: readonly AgreementKey[];
}

/** Entries of the membership log, as their authors encoded them. */
export interface EntriesItem {
  readonly kind: 'entries';
  readonly entries: readonly Uint8Array[];
}

/** Hashes of entries that the sender would like to have. */
export interface WantedItem {
  readonly kind: 'wanted';
  readonly hashes: readonly Uint8Array[];
}

/** A kind that this version does not know, which is passed over. */
export interface UnknownItem {
  readonly kind: 'unknown';
}

export type Item =
  | BatchItem
  | AckItem
  | HelloItem
  | KeysItem
  | EntriesItem
  | WantedItem
  | GroupItem
  | UnknownItem;
export type ItemRefusal = 'item-malformed' | KeyRefusal | 'envelope-malformed';

/** Seven, eight and nine are about groups: see `group-items`. */
const ITEM = { batch: 1, ack: 2, hello: 3, keys: 4, entries: 5, wanted: 6 } as const;

export function itemFields(item: Item): readonly Value[] {
  switch (item.kind) {
    case 'batch':
      return [
        ITEM.batch,
        item.stream,
        item.run,
        item.after,
        item.moved,
        item.low,
        item.first,
        item.records.map(recordFields),
      ];
    case 'ack':
      return [
        ITEM.ack,
        item.stream,
        item.through,
        item.run,
        item.skipped,
        item.refused,
        NEED.indexOf(item.need),
      ];
    case 'hello': {
      const { received, sending } = item;
      return [
        ITEM.hello,
        item.nonce,
        item.answering,
        received === null ? null : [received.stream, received.through, received.line, received.skipped],
        sending === null ? null : [sending.stream, sending.low, sending.next],
        item.heads.map((head) => [head.author, head.sequence, head.hash]),
        item.keysLeft,
        item.heard.map(({ device, ago }) => [device, ago]),
      ];
    }
    case 'keys':
      return [ITEM.keys, item.keys];
    case 'entries':
      return [ITEM.entries, item.entries];
    case 'wanted':
      return [ITEM.wanted, item.hashes];
    case 'group-keys':
    case 'group-wanted':
    case 'group-denied':
      return groupItemFields(item);
    case 'unknown':
      throw new Error('an item of an unknown kind is never sent');
  }
}

const MALFORMED = { refused: 'item-malformed' } as const;

export function readItem(raw: readonly Value[]): Result<Item, ItemRefusal> {
  const [kind, ...rest] = raw;
  if (!isCount(kind)) return MALFORMED;
  switch (kind) {
    case ITEM.batch:
      return readBatch(rest);
    case ITEM.ack:
      return readAck(rest);
    case ITEM.hello:
      return readHello(rest);
    case ITEM.keys: {
      const keys = readKeys(rest[0]);
      if ('refused' in keys) return keys;
      return rest.length === 1 ? { ok: { kind: 'keys', keys: keys.ok } } : MALFORMED;
    }
    case ITEM.entries: {
      const [entries] = rest;
      if (rest.length !== 1 || !isListOf(entries, MAX_ENTRIES, isBytes)) return MALFORMED;
      return { ok: { kind: 'entries', entries } };
    }
    case ITEM.wanted: {
      const [hashes] = rest;
      const isHash = (value: Value): value is Uint8Array => isBytes(value, 32);
      if (rest.length !== 1 || !isListOf(hashes, MAX_ENTRIES, isHash)) return MALFORMED;
      return { ok: { kind: 'wanted', hashes } };
    }
    case GROUP_ITEM.keys:
    case GROUP_ITEM.wanted:
    case GROUP_ITEM.denied: {
      const item = readGroupItem(kind, rest);
      return item === undefined ? MALFORMED : { ok: item };
    }
    default:
      return { ok: { kind: 'unknown' } };
  }
}

function readBatch(rest: readonly Value[]): Result<BatchItem, ItemRefusal> {
  const [stream, run, after, moved, low, first, list] = rest;
  if (rest.length !== 7 || typeof moved !== 'boolean') return MALFORMED;
  if (!isBytes(after) || (after.length !== 0 && after.length !== RUN_BYTES)) return MALFORMED;
  if (!isBytes(stream, STREAM_ID_BYTES) || !isBytes(run, RUN_BYTES)) return MALFORMED;
  if (!isCount(low) || !isCount(first) || low < 1 || first < low) return MALFORMED;
  if (!isListOf(list, MAX_RECORDS, isList)) return MALFORMED;
  if (list.length === 0 || !Number.isSafeInteger(first + list.length)) return MALFORMED;
  const records: StreamRecord[] = [];
  let payload = 0;
  let grouped = 0;
  for (const raw of list) {
    const record = readRecord(raw);
    if (record === undefined) return MALFORMED;
    if (record.kind === 'content') payload += record.payload.length;
    if (record.kind === 'group' && ++grouped > MAX_GROUP_RECORDS) return MALFORMED;
    records.push(record);
  }
  if (payload > MAX_PAYLOAD_BYTES) return MALFORMED;
  return { ok: { kind: 'batch', stream, run, after, moved, low, first, records } };
}

function readAck(rest: readonly Value[]): Result<AckItem, ItemRefusal> {
  const [stream, through, run, skipped, refused, code] = rest;
  if (rest.length !== 6 || !isBytes(stream, STREAM_ID_BYTES) || !isCount(through)) return MALFORMED;
  const need = isCount(code) ? NEED[code] : undefined;
  if (!isBytes(run, RUN_BYTES) || need === undefined) return MALFORMED;
  if (!isListOf(skipped, MAX_RECORDS, isCount) || !isListOf(refused, MAX_RECORDS, isCount)) return MALFORMED;
  return { ok: { kind: 'ack', stream, through, run, skipped, refused, need } };
}

function readHello(rest: readonly Value[]): Result<HelloItem, ItemRefusal> {
  const [nonce, answering, received, sending, heads, keysLeft, heardList] = rest;
  if (rest.length !== 7 || !isBytes(nonce, NONCE_BYTES) || !isCount(keysLeft)) return MALFORMED;
  if (answering !== null && !isBytes(answering, NONCE_BYTES)) return MALFORMED;
  const marks = readHeads(heads);
  if (marks === undefined) return MALFORMED;
  const receivedMark = readReceived(received);
  const sendingMark = readSending(sending);
  const heard = readHeard(heardList);
  if (receivedMark === undefined || sendingMark === undefined || heard === undefined) return MALFORMED;
  const hello = { kind: 'hello', nonce, heads: marks, keysLeft, heard } as const;
  return { ok: { ...hello, answering: answering ?? null, received: receivedMark, sending: sendingMark } };
}

function readHeads(value: Value | undefined): readonly HeadMark[] | undefined {
  if (!isListOf(value, MAX_ENTRIES, isList)) return undefined;
  const marks: HeadMark[] = [];
  for (const [author, sequence, hash, ...more] of value) {
    if (more.length > 0 || !isBytes(author) || author.length > MAX_AUTHOR_BYTES) return undefined;
    if (!isCount(sequence) || !isBytes(hash, 32)) return undefined;
    marks.push({ author, sequence, hash });
  }
  return marks;
}

function readHeard(value: Value | undefined): HelloItem['heard'] | undefined {
  if (!isListOf(value, MAX_ENTRIES, isList)) return undefined;
  const heard: { device: Uint8Array; ago: number }[] = [];
  for (const [device, ago, ...more] of value) {
    if (more.length > 0 || !isBytes(device, DEVICE_ID_BYTES) || !isCount(ago)) return undefined;
    heard.push({ device, ago });
  }
  return heard;
}

function readReceived(value: Value | undefined): HelloItem['received'] | undefined {
  if (value === null) return null;
  if (!Array.isArray(value)) return undefined;
  const [stream, through, line, skipped] = value as readonly Value[];
  if (value.length !== 4 || !isBytes(stream, STREAM_ID_BYTES) || !isCount(through)) return undefined;
  if (!isListOf(skipped, MAX_RECORDS, isCount)) return undefined;
  if (!isListOf(line, MAX_LINE, isList)) return undefined;
  const steps: (readonly [Uint8Array, number])[] = [];
  for (const [run, from, ...more] of line) {
    if (more.length > 0 || !isBytes(run, RUN_BYTES) || !isCount(from)) return undefined;
    steps.push([run, from]);
  }
  return { stream, through, line: steps, skipped };
}

function readSending(value: Value | undefined): HelloItem['sending'] | undefined {
  if (value === null) return null;
  if (!Array.isArray(value)) return undefined;
  const [stream, low, next] = value as readonly Value[];
  if (value.length !== 3 || !isBytes(stream, STREAM_ID_BYTES) || !isCount(low) || !isCount(next))
    return undefined;
  return low >= 1 && next >= low ? { stream, low, next } : undefined;
}
