/** The next batch for a peer: as many of its records as fit into one envelope. */
import { same } from '../../entities/outgoing-stream.ts';
import { utf8 } from '../../entities/text.ts';
import { type BatchItem, MAX_GROUP_RECORDS, MAX_PAYLOAD_BYTES } from '../../entities/wire/items.ts';
import type { StreamRecord } from '../../entities/wire/records.ts';
import type { Goods } from './goods.ts';
import type { ForCircle, GroupSending } from './group-sending.ts';
import { type Addressee, type Message, runOf } from './lot.ts';
import { type Peer, pendingAt } from './peer.ts';

/** What a batch holds besides payloads: labels, ids, heads. With the payloads it has to fit into one parcel. */
const MAX_AROUND = 32 * 1024;
/** The record of what stands beside the parcel: ids, hash, heads. */
const AROUND_FOR_CIRCLE = 96;
/** The parcel before it is padded, and what stands beside it: together they have to fit into one envelope. */
const MAX_TOGETHER = 136 * 1024;
/** Labels up to this length are taken for as long as they might be. */
const SHORT_LABEL = 16;
/** Numbers without a payload that are out at a time. */
const MOST_SKIPS = 512;

/** A batch, and what its records for circles consist of. */
export interface Outgoing {
  readonly batch: BatchItem;
  readonly beside: readonly ForCircle[];
}

/** `undefined` where nothing may go out now, or what is to go is not in memory; then it is asked for. */
export function packBatch(
  peer: Peer,
  groups: Pick<GroupSending, 'seal'>,
  goods: Pick<Goods, 'obtain'>,
): Outgoing | undefined {
  const { outgoing, cursor: first } = peer;
  if (outgoing === undefined || peer.frozen || peer.full || peer.held || first >= outgoing.next) {
    return undefined;
  }
  const start = pendingAt(peer, first);
  if (start === undefined) throw new Error('a number without an entry');
  const run = runOf(start);
  const moved = start.run !== null;
  const records: StreamRecord[] = [];
  const beside: ForCircle[] = [];
  let payload = 0;
  let around = 0;
  let together = 0;
  let skips = peer.inFlight.reduce((sum, envelope) => sum + envelope.skips, 0);
  for (let number = first; number < outgoing.next && records.length < peer.batchLimit; number++) {
    const addressee = pendingAt(peer, number);
    if (addressee === undefined || (addressee.run !== null) !== moved || !same(runOf(addressee), run)) break;
    const { message } = addressee;
    if (addressee.end !== null) {
      around += 2;
      if (around > MAX_AROUND && records.length > 0) break;
      // The recipient remembers which numbers held nothing, but not without end.
      if (++skips > MOST_SKIPS && records.length + peer.inFlight.length > 0) break;
      records.push({ kind: 'skip' });
      continue;
    }
    const bytes = addressee.lot.goods?.[addressee.index];
    if (bytes === undefined) {
      goods.obtain(addressee.lot);
      break;
    }
    const forCircle = groups.seal(message, bytes);
    if (forCircle === undefined) payload += message.bytes;
    else together += forCircle.ciphertext.length;
    around += forCircle === undefined ? roundAbout(message) : AROUND_FOR_CIRCLE;
    const isFull =
      payload > MAX_PAYLOAD_BYTES ||
      around > MAX_AROUND ||
      together + payload + around > MAX_TOGETHER ||
      beside.length === MAX_GROUP_RECORDS;
    if (isFull && records.length > 0) break;
    if (forCircle !== undefined) beside.push(forCircle);
    records.push(forCircle?.record ?? contentOf(addressee, bytes));
  }
  if (records.length === 0) return undefined;
  const low = outgoing.through + 1;
  const before = pendingAt(peer, first - 1);
  const after = before === undefined ? outgoing.throughRun : runOf(before);
  return { batch: { kind: 'batch', stream: outgoing.id, run, after, moved, low, first, records }, beside };
}

function contentOf({ message }: Addressee, payload: Uint8Array): StreamRecord {
  const { id, sentAt, type, thread, group } = message;
  return { kind: 'content', id, sentAt, type, thread, group, payload };
}

/** The most that a record takes up around its payload: its labels, its ids, its time, and the heads of all. */
function roundAbout({ type, thread, group }: Pick<Message, 'type' | 'thread' | 'group'>): number {
  return 42 + (group ?? '').length + mostBytes(type) + (thread === null ? 0 : mostBytes(thread));
}

/** In UTF-8 a character of UTF-16 takes three bytes at most, and only few labels are worth a closer look. */
function mostBytes(label: string): number {
  return label.length <= SHORT_LABEL ? label.length * 3 : utf8(label).length;
}
