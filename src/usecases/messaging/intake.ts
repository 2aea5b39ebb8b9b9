/**
 * Batches of records, from the item in a parcel to the inbox: each number once and in order. What is early waits in
 * memory, and so does what cannot be read yet; neither is acknowledged, so neither is ever lost.
 */
import { toHex } from '../../entities/bytes.ts';
import { type Arrival, arrive, REMEMBERED_OUTCOMES } from '../../entities/incoming-stream.ts';
import type { GroupDeniedItem, GroupKeysItem } from '../../entities/wire/group-items.ts';
import type { BatchItem } from '../../entities/wire/items.ts';
import type { ContentRecord, GroupRecord, StreamRecord } from '../../entities/wire/records.ts';
import type { Beside, GroupReading } from './group-reading.ts';
import type { Delivered, Inbox } from './inbox.ts';
import type { Office } from './office.ts';
import type { Consignment, Peer } from './peer.ts';
import type { Quarantine } from './quarantine.ts';
import { pairChanged } from './sealing.ts';

const MAX_EARLY = 128;

export interface Intake {
  take(peer: Peer, consignment: Consignment): void;
  /** Keys to what may be waiting. */
  onGroupKeys(peer: Peer, item: GroupKeysItem): void;
  /** There will be no key, so what waits for it is to come again, in whatever way it still can. */
  onGroupDenied(peer: Peer, item: GroupDeniedItem): void;
}

export interface IntakeParts {
  readonly office: Office;
  readonly inbox: Inbox;
  readonly groups: Pick<GroupReading, 'onKey' | 'hasKey' | 'ask' | 'read'>;
  readonly quarantine: Quarantine;
}

export function createIntake({ office, inbox, groups, quarantine }: IntakeParts): Intake {
  function take(peer: Peer, consignment: Consignment): void {
    const { batch, beside } = consignment;
    // Sent again once it is one of us again; what nobody vouches for is not even acknowledged.
    if (!office.isSibling(peer)) return office.count('sender-not-member');
    if (batch.moved && !knowsIds(peer)) {
      if (peer.early.size < MAX_EARLY) peer.early.set(batch.first, consignment);
      return office.count('batch-waits-for-ids');
    }
    const arrival = arrive(peer.incoming, peer.formerIncoming, batch);
    if (typeof arrival === 'string') return setAside(peer, consignment, arrival);
    const { taken, first } = arrival;
    const locked = taken.findIndex((record) => record.kind === 'group' && !isReadable(peer, record, batch));
    if (locked >= 0) return takeUpTo(peer, consignment, first, taken, locked);
    if (taken.length > 1 && quarantine.isMarked(batchSuspect(peer, batch, first))) {
      // It brought the program down once: one by one, so that only the culprit is put aside.
      const after = batch.after.slice(0, 0);
      taken.forEach((record, i) => {
        take(peer, { batch: { ...batch, after, first: first + i, records: [record] }, beside });
      });
      return;
    }
    const bytes = taken.reduce((sum, record) => sum + bytesOf(record, beside), 0);
    if (!inbox.hasRoomFor(bytes)) {
      if (!peer.toldFull) office.report({ what: 'inbox-full', device: peer.id, count: taken.length });
      peer.toldFull = true;
      peer.due.ack = { need: 'room' };
      return office.cycle.wake();
    }
    deliver(peer, consignment, arrival);
    forgetEarly(peer);
    takeEarly(peer);
  }

  /** What came early and is now the next. */
  function takeEarly(peer: Peer): void {
    const next = peer.early.get((peer.incoming?.through ?? 0) + 1);
    if (next !== undefined) take(peer, next);
  }

  function isReadable(peer: Peer, { session, id }: GroupRecord, { moved }: BatchItem): boolean {
    // What was numbered again and is here already is not read a second time.
    return groups.hasKey(peer, session) || (moved && peer.receivedIds?.has(toHex(id)) === true);
  }

  /** Takes what can be read; the rest waits for the key, which is asked for. */
  function takeUpTo(
    peer: Peer,
    { batch, beside }: Consignment,
    first: number,
    taken: readonly StreamRecord[],
    locked: number,
  ): void {
    const record = taken[locked];
    if (record?.kind === 'group') groups.ask(peer, record.session);
    office.count('batch-waits-for-key');
    const part = (from: number, to: number): Consignment => {
      const number = first + from;
      const after = number === batch.first ? batch.after : batch.run;
      return { batch: { ...batch, after, first: number, records: taken.slice(from, to) }, beside };
    };
    if (peer.early.size < MAX_EARLY) peer.early.set(first + locked, part(locked, taken.length));
    if (locked > 0) take(peer, part(0, locked));
  }

  function deliver(peer: Peer, { batch, beside }: Consignment, arrival: Exclude<Arrival, string>): void {
    const name = batchSuspect(peer, batch, arrival.first);
    const quarantined = quarantine.isPoison(name);
    quarantine.suspect(name);
    if (arrival.lost > 0) office.report({ what: 'messages-lost', device: peer.id, count: arrival.lost });
    if (peer.incoming !== undefined && toHex(peer.incoming.id) !== toHex(batch.stream)) {
      peer.formerIncoming = [peer.incoming.id, ...peer.formerIncoming].slice(0, 8);
    }
    const letters = lettersIn(peer, batch, arrival);
    const contents: Delivered[] = [];
    const refused: number[] = [];
    for (const { number, record } of letters) {
      const read = quarantined ? undefined : contentOf(peer, record, beside);
      if (read === undefined) refused.push(number);
      else contents.push({ number, content: read });
    }
    if (quarantined) office.report({ what: 'batch-quarantined', device: peer.id, count: letters.length });
    peer.incoming = {
      ...arrival.stream,
      refused: [...arrival.stream.refused, ...refused].slice(-REMEMBERED_OUTCOMES),
    };
    if (contents.length > 0) inbox.deliver(peer.id, batch.stream, contents);
    quarantine.clear(name);
    peer.due.ack = { need: 'nothing' };
    peer.due.batchesSinceAck += 1;
    pairChanged(office, peer);
  }

  /** The records with a payload, but for those that were numbered again and are here already. */
  function lettersIn(
    peer: Peer,
    { moved }: BatchItem,
    { taken, first }: Exclude<Arrival, string>,
  ): readonly { readonly number: number; readonly record: ContentRecord | GroupRecord }[] {
    const ids = peer.receivedIds;
    return taken.flatMap((record, i) => {
      if (record.kind !== 'content' && record.kind !== 'group') return [];
      const id = toHex(record.id);
      if (moved && ids?.has(id) === true) return [];
      ids?.add(id);
      return [{ number: first + i, record }];
    });
  }

  function contentOf(
    peer: Peer,
    record: ContentRecord | GroupRecord,
    beside: Beside,
  ): ContentRecord | undefined {
    if (record.kind === 'content') return record;
    const read = groups.read(peer, record, beside);
    if ('ok' in read) return read.ok;
    office.count(read.refused);
    return undefined;
  }

  function batchSuspect(peer: Peer, batch: BatchItem, first: number): string {
    return quarantine.name('batch', `${peer.id} ${toHex(batch.stream)} ${first}`);
  }

  function setAside(peer: Peer, consignment: Consignment, why: Extract<Arrival, string>): void {
    const { batch } = consignment;
    office.count(`batch-${why}`);
    if (why === 'stale') return;
    if (why === 'conflict') {
      peer.due.hello ??= { answering: null };
    } else if (why === 'duplicate') {
      peer.due.ack ??= { need: 'nothing' };
    } else if (peer.early.size < MAX_EARLY) {
      peer.early.set(batch.first, consignment);
      // Asked for once; if that is lost too, the sender's own question finds it out.
      if (peer.early.size === 1 || peer.early.size % 16 === 0) peer.due.ack = { need: 'missing' };
    }
    office.cycle.wake();
  }

  function forgetEarly(peer: Peer): void {
    const through = peer.incoming?.through ?? 0;
    for (const [first, { batch }] of peer.early) {
      if (
        first + batch.records.length - 1 <= through ||
        toHex(batch.stream) !== toHex(peer.incoming?.id ?? batch.stream)
      ) {
        peer.early.delete(first);
      }
    }
  }

  /** Before the first batch that was numbered again is taken, the ids of what this peer sent are collected. */
  function knowsIds(peer: Peer): boolean {
    if (peer.receivedIds !== undefined) return true;
    if (peer.gatheringIds) return false;
    peer.gatheringIds = true;
    // Behind the commit that holds what was taken so far.
    new Promise<void>((resolve) => office.cycle.afterwards(resolve))
      .then(() => inbox.idsFrom(peer.id))
      .then((ids) => {
        if (peer.gone) return;
        peer.receivedIds = ids;
        peer.gatheringIds = false;
        const waited = [...peer.early.values()].sort((a, b) => a.batch.first - b.batch.first);
        peer.early.clear();
        for (const consignment of waited) take(peer, consignment);
        office.cycle.wake();
      })
      .catch((error: unknown) => office.fatal(error));
    return false;
  }

  return {
    take,

    onGroupKeys(peer, { keys }) {
      if (!office.isSibling(peer)) return office.count('sender-not-member');
      for (const key of keys) groups.onKey(peer, key);
      takeEarly(peer);
    },

    onGroupDenied(peer, { denied }) {
      for (const { reason } of denied) office.count(`group-key-${reason}`);
      if (denied.length === 0 || peer.early.size === 0) return;
      peer.early.clear();
      peer.due.ack = { need: 'missing' };
      office.cycle.wake();
    },
  };
}

/** The most that the inbox takes on with it. */
function bytesOf(record: StreamRecord, beside: Beside): number {
  if (record.kind === 'content') return record.payload.length;
  return record.kind === 'group' ? (beside.get(toHex(record.digest))?.length ?? 0) : 0;
}
