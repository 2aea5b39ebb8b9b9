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
/** Around a payload in its record, and in the ciphertext that stands beside it: padding, salt, context, signature. */
const AROUND_FOR_CIRCLE = 480;
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
  let skips = peer.inFlight.reduce((sum, envelope) => sum + envelope.skips, 0);
  for (let number = first; number < outgoing.next && records.length < peer.batchLimit; number++) {
    const addressee = pendingAt(peer, number);
    if (addressee === undefined || (addressee.run !== null) !== moved || !same(runOf(addressee), run)) break;
    const { message } = addressee;
    const isSkip = addressee.end !== null;
    around += isSkip ? 2 : roundAbout(message);
    if (around > MAX_AROUND && records.length > 0) break;
    if (isSkip) {
      // The recipient remembers which numbers held nothing, but not without end.
      if (++skips > MOST_SKIPS && records.length + peer.inFlight.length > 0) break;
      records.push({ kind: 'skip' });
      continue;
    }
    if (payload + message.bytes > MAX_PAYLOAD_BYTES) break;
    if (message.group !== null && beside.length === MAX_GROUP_RECORDS) break;
    const bytes = addressee.lot.goods?.[addressee.index];
    if (bytes === undefined) {
      goods.obtain(addressee.lot);
      break;
    }
    payload += message.bytes;
    const forCircle = groups.seal(message, bytes);
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
  const fixed = group === null ? 42 : AROUND_FOR_CIRCLE;
  return fixed + utf8(type).length + utf8(thread ?? '').length;
}
