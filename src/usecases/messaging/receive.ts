/**
 * From a packet to its effects. Packets wait in a bounded queue; each is handled whole, in one go, and what it
 * changes is committed before anything of it can be seen from outside.
 */
import { toHex } from '../../entities/bytes.ts';
import { type Arrival, arrive, REMEMBERED_OUTCOMES } from '../../entities/incoming-stream.ts';
import { retireSession, type SessionId } from '../../entities/session-set.ts';
import { decodeEnvelope, type Opened, type PairingEnvelope } from '../../entities/wire/envelope.ts';
import type { AckItem, BatchItem, Item } from '../../entities/wire/items.ts';
import type { ContentRecord } from '../../entities/wire/records.ts';
import type { Contact } from './contact.ts';
import type { Farewell } from './farewell.ts';
import type { Gossip } from './gossip.ts';
import type { Inbox } from './inbox.ts';
import type { Office } from './office.ts';
import { checkSigned, openParcel } from './opening.ts';
import type { Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import type { Quarantine } from './quarantine.ts';
import type { Ratchets } from './ratchets.ts';
import { dropRetired, packetNonce, pairChanged } from './sealing.ts';

const MAX_QUEUED = 4096;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** Packets handled before others get a turn. */
const PACKETS_PER_TURN = 64;
const MAX_EARLY = 128;

export interface Receiving {
  packet(bytes: Uint8Array): void;
  /** How many packets wait. */
  waiting(): number;
  /** Handles all that waits, at once. */
  drain(): void;
}

export interface ReceivingParts {
  readonly office: Office;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly ratchets: Ratchets;
  readonly contact: Contact;
  readonly quarantine: Quarantine;
  readonly gossip: Pick<Gossip, 'onEntries' | 'onWanted' | 'onDigest'>;
  readonly farewell: Pick<Farewell, 'onStranger' | 'onNotice'>;
  readonly onPairing: (envelope: PairingEnvelope, covered: Uint8Array) => void;
}

export function createReceiving(parts: ReceivingParts): Receiving {
  const { office, outbox, inbox, ratchets, contact, quarantine, gossip, farewell, onPairing } = parts;
  const queue: Uint8Array[] = [];
  let head = 0;
  let queuedBytes = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    office.clock.after(0, () => {
      scheduled = false;
      turn(PACKETS_PER_TURN);
      if (head < queue.length) schedule();
    });
  }

  function turn(most: number): void {
    for (let i = 0; i < most; i++) {
      const packet = queue[head];
      if (packet === undefined) break;
      head++;
      queuedBytes -= packet.length;
      if (head === queue.length) {
        queue.length = 0;
        head = 0;
      }
      handle(packet);
    }
  }

  function handle(packet: Uint8Array): void {
    try {
      if (quarantine.holds(packet)) return office.count('quarantined');
      open(packet);
    } catch (error) {
      quarantine.condemn(packet, error);
    }
  }

  function open(packet: Uint8Array): void {
    const decoded = decodeEnvelope(packet);
    if ('refused' in decoded) return office.count(decoded.refused);
    const { envelope, covered } = decoded.ok;
    // From somebody who is to become a peer, or is not to.
    if (envelope.kind === 'pairing') return onPairing(envelope, covered);
    const peer = office.peers.get(envelope.from);
    if (peer === undefined) return farewell.onStranger(envelope.from);
    if (envelope.kind === 'sealed' || envelope.kind === 'initial')
      return openSealed(peer, decoded.ok, packet);
    const checked = checkSigned(office, peer, envelope, covered);
    if ('refused' in checked) return office.count(checked.refused);
    switch (envelope.kind) {
      case 'greeting':
        // What it says of sessions was true when it was sent; something newer has arrived since.
        if (!checked.ok.newest) return office.count('greeting-late');
        return contact.onGreeting(peer, envelope);
      case 'request':
        return contact.onRequest(peer, envelope);
      case 'answer':
        return contact.onAnswer(peer, envelope);
      case 'notice':
        return farewell.onNotice(peer, envelope);
    }
  }

  function openSealed(peer: Peer, opened: Opened, packet: Uint8Array): void {
    const parcel = openParcel(office, ratchets, peer, opened, (session) => {
      const name = quarantine.name('session', session);
      if (quarantine.isPoison(name)) {
        giveUpSession(peer, session, name);
        return 'given-up';
      }
      quarantine.suspect(name);
      return 'go-on';
    });
    if ('refused' in parcel) {
      office.count(parcel.refused);
      if (parcel.refused === 'undecryptable') contact.onWedged(peer);
      // A tag that was never heard of may be anybody's junk, and is not worth a step.
      if (parcel.refused === 'session-retired') contact.onStray(peer);
      if (parcel.refused === 'key-unknown') contact.onKeyUnknown(peer, packetNonce(office, packet));
      return;
    }
    contact.heard(peer);
    peer.contact.rekeys = 0;
    for (const item of parcel.ok.items) {
      // What one item says may have removed the sender.
      if (peer.gone) return;
      take(peer, item);
    }
    if (!peer.gone) gossip.onDigest(peer, parcel.ok.roster);
  }

  function giveUpSession(peer: Peer, session: SessionId, name: string): void {
    const before = peer.sessions.sessions;
    peer.sessions = retireSession(peer.sessions, session);
    dropRetired(peer, before, ratchets);
    pairChanged(office, peer);
    quarantine.clear(name);
    contact.onWedged(peer);
  }

  function take(peer: Peer, item: Item): void {
    switch (item.kind) {
      case 'batch':
        return takeBatch(peer, item);
      case 'ack':
        return takeAck(peer, item);
      case 'hello':
        return contact.onHello(peer, item);
      case 'keys':
        peer.theirKeys = item.keys.filter(
          (key) => !peer.spentKeys.some((spent) => toHex(spent) === toHex(key)),
        );
        return pairChanged(office, peer);
      case 'entries':
        return gossip.onEntries(peer, item.entries);
      case 'wanted':
        return gossip.onWanted(peer, item.hashes);
      case 'unknown':
        return office.count('item-unknown');
    }
  }

  function takeAck(peer: Peer, ack: AckItem): void {
    const outcome = outbox.acknowledge(peer, ack);
    if (outcome === 'ahead') return contact.onAhead(peer);
    contact.onRoom(peer, ack.need !== 'room');
    if (ack.need !== 'nothing') contact.onGap(peer, ack);
    office.cycle.wake();
  }

  function takeBatch(peer: Peer, batch: BatchItem): void {
    // Sent again once it is one of us again; what nobody vouches for is not even acknowledged.
    if (!office.isSibling(peer)) return office.count('sender-not-member');
    if (batch.moved && !knowsIds(peer)) {
      if (peer.early.size < MAX_EARLY) peer.early.set(batch.first, batch);
      return office.count('batch-waits-for-ids');
    }
    const arrival = arrive(peer.incoming, peer.formerIncoming, batch);
    if (typeof arrival === 'string') return setAside(peer, batch, arrival);
    const { taken, first } = arrival;
    if (taken.length > 1 && quarantine.isMarked(batchSuspect(peer, batch, first))) {
      // It brought the program down once: one by one, so that only the culprit is put aside.
      const after = batch.after.slice(0, 0);
      taken.forEach((record, i) => {
        takeBatch(peer, { ...batch, after, first: first + i, records: [record] });
      });
      return;
    }
    const contents = arrival.taken.flatMap((record, i) =>
      record.kind === 'content' ? [{ number: arrival.first + i, content: record }] : [],
    );
    const bytes = contents.reduce((sum, { content }) => sum + content.payload.length, 0);
    if (!inbox.hasRoomFor(bytes)) {
      if (!peer.toldFull) office.report({ what: 'inbox-full', device: peer.id, count: contents.length });
      peer.toldFull = true;
      peer.due.ack = { need: 'room' };
      return office.cycle.wake();
    }
    deliver(peer, batch, arrival, contents);
    const next = peer.early.get(arrival.stream.through + 1);
    forgetEarly(peer);
    if (next !== undefined) takeBatch(peer, next);
  }

  function deliver(
    peer: Peer,
    batch: BatchItem,
    arrival: Exclude<Arrival, string>,
    contents: readonly { readonly number: number; readonly content: ContentRecord }[],
  ): void {
    const name = batchSuspect(peer, batch, arrival.first);
    const quarantined = quarantine.isPoison(name);
    quarantine.suspect(name);
    if (arrival.lost > 0) office.report({ what: 'messages-lost', device: peer.id, count: arrival.lost });
    if (peer.incoming !== undefined && toHex(peer.incoming.id) !== toHex(batch.stream)) {
      peer.formerIncoming = [peer.incoming.id, ...peer.formerIncoming].slice(0, 8);
    }
    const ids = peer.receivedIds;
    const fresh = batch.moved ? contents.filter(({ content }) => !ids?.has(toHex(content.id))) : contents;
    for (const { content } of fresh) ids?.add(toHex(content.id));
    if (quarantined) {
      office.report({ what: 'batch-quarantined', device: peer.id, count: contents.length });
      const numbers = contents.map(({ number }) => number);
      peer.incoming = {
        ...arrival.stream,
        refused: [...arrival.stream.refused, ...numbers].slice(-REMEMBERED_OUTCOMES),
      };
    } else {
      peer.incoming = arrival.stream;
      if (fresh.length > 0) inbox.deliver(peer.id, batch.stream, fresh);
    }
    quarantine.clear(name);
    peer.due.ack = { need: 'nothing' };
    peer.due.batchesSinceAck += 1;
    pairChanged(office, peer);
  }

  function batchSuspect(peer: Peer, batch: BatchItem, first: number): string {
    return quarantine.name('batch', `${peer.id} ${toHex(batch.stream)} ${first}`);
  }

  function setAside(peer: Peer, batch: BatchItem, why: Extract<Arrival, string>): void {
    office.count(`batch-${why}`);
    if (why === 'stale') return;
    if (why === 'conflict') {
      peer.due.hello ??= { answering: null };
    } else if (why === 'duplicate') {
      peer.due.ack ??= { need: 'nothing' };
    } else {
      if (peer.early.size < MAX_EARLY) peer.early.set(batch.first, batch);
      // Asked for once; if that is lost too, the sender's own question finds it out.
      if (peer.early.size === 1 || peer.early.size % 16 === 0) peer.due.ack = { need: 'missing' };
    }
    office.cycle.wake();
  }

  function forgetEarly(peer: Peer): void {
    const through = peer.incoming?.through ?? 0;
    for (const [first, batch] of peer.early) {
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
        const waited = [...peer.early.values()].sort((a, b) => a.first - b.first);
        peer.early.clear();
        for (const batch of waited) takeBatch(peer, batch);
        office.cycle.wake();
      })
      .catch((error: unknown) => office.fatal(error));
    return false;
  }

  return {
    packet(bytes) {
      if (queue.length - head >= MAX_QUEUED || queuedBytes + bytes.length > MAX_QUEUED_BYTES) {
        return office.count('queue-overflow');
      }
      queue.push(bytes);
      queuedBytes += bytes.length;
      schedule();
    },
    waiting: () => queue.length - head,
    drain() {
      turn(Number.POSITIVE_INFINITY);
    },
  };
}
