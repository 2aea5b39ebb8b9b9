/**
 * What goes out with the next commit: for each peer, whatever is due, in as few packets as it fits into. Nothing
 * leaves before the commit that holds the step it comes from.
 */
import { NONCE_BYTES } from '../../entities/wire/envelope.ts';
import { type GroupDeniedItem, MAX_GROUP_KEYS } from '../../entities/wire/group-items.ts';
import type { BatchItem, Item } from '../../entities/wire/items.ts';
import type { Contact } from './contact.ts';
import type { Gossip } from './gossip.ts';
import type { ForCircle, GroupSending } from './group-sending.ts';
import type { Office } from './office.ts';
import type { Outbox } from './outbox.ts';
import type { Outgoing } from './packing.ts';
import { goBackTo, type Peer } from './peer.ts';
import { type Beside, fillReserve, pairChanged, RESERVE_LOW, recordOf, type Sealing } from './sealing.ts';

/** A stock broker drops silently what goes beyond a thousand packets queued for one receiver. */
const MOST_IN_FLIGHT = 100;
const SHARED_BY_SENDERS = 800;
/** Envelopes for one peer in one commit: more would make the others wait. */
const ENVELOPES_PER_COMMIT = 16;
/** While packets are still waiting to be read, an acknowledgement waits for so many batches. */
const BATCHES_PER_ACK = 8;
const REQUEST_PAUSE = 1000;

export interface Dispatch {
  /** Puts everything that is due into the commit that is about to begin. */
  prepare(): void;
  /** How many packets the broker has not yet taken over or refused. */
  underWay(): number;
}

export interface DispatchParts {
  readonly office: Office;
  readonly outbox: Outbox;
  readonly contact: Contact;
  readonly sealing: Sealing;
  readonly groups: Pick<GroupSending, 'keysFor' | 'answer'>;
  readonly gossip: Pick<Gossip, 'isDue' | 'itemsFor' | 'isFresh'>;
  readonly waiting: () => number;
  /** Whether the inbox takes another batch. */
  readonly hasRoom: () => boolean;
}

/** Envelopes with records that may be out to one peer. Only members send content; each of them may send something. */
export function mostInFlight(peers: Iterable<Pick<Peer, 'standing'>>): number {
  let senders = 0;
  for (const peer of peers) if (peer.standing === 'member') senders++;
  return Math.max(1, Math.min(MOST_IN_FLIGHT, Math.floor(SHARED_BY_SENDERS / Math.max(1, senders))));
}

export function createDispatch(parts: DispatchParts): Dispatch {
  const { office, outbox, contact, sealing, groups, gossip, waiting, hasRoom } = parts;
  const { clock, cycle } = office;

  let publishing = 0;

  function prepare(): void {
    if (!office.isOnline()) return;
    for (const peer of office.peers.values()) prepareFor(peer);
  }

  function prepareFor(peer: Peer): void {
    const { due } = peer;
    if (due.greeting) {
      due.greeting = false;
      publish(peer, sealing.greeting(peer, contact.asking(peer, 'greeting')), undefined);
    }
    if (due.answer !== undefined) {
      const { nonce } = due.answer;
      due.answer = undefined;
      publish(peer, sealing.answer(peer, nonce), undefined);
    }
    let sent = 0;
    while (sent < ENVELOPES_PER_COMMIT && parcelFor(peer)) sent++;
    // There may be more: it goes with the next commit, after the others had their turn.
    if (sent === ENVELOPES_PER_COMMIT) cycle.wake();
    if (due.request) {
      due.request = false;
      request(peer);
    }
  }

  /** Sends one parcel, if there is anything for it and a session to send it in. */
  function parcelFor(peer: Peer): boolean {
    const { due } = peer;
    if (due.ack !== undefined && peer.incoming === undefined) {
      // Nothing was received that an acknowledgement could name; a hello can say even that.
      if (due.ack.need === 'missing') due.hello ??= { answering: null };
      due.ack = undefined;
    }
    if (gossip.isDue(peer) && canSeal(peer)) {
      const about = gossip.itemsFor(peer);
      // By themselves, and before all else: what is said next may build on them.
      if (about.length > 0) {
        publish(peer, sealed(peer, about), undefined);
        return true;
      }
    }
    const isFresh = gossip.isFresh();
    const mayTalk =
      office.isSibling(peer) && isFresh && peer.inFlight.length < mostInFlight(office.peers.values());
    // A clock that was set may have made what was confirmed look old, in the middle of a connection.
    if (!isFresh && hasRecords(peer)) contact.freshen(peer);
    const outgoing = mayTalk ? outbox.nextBatch(peer) : undefined;
    const acknowledges =
      due.ack !== undefined &&
      (outgoing !== undefined ||
        due.ack.need !== 'nothing' ||
        waiting() === 0 ||
        due.batchesSinceAck >= BATCHES_PER_ACK);
    const aboutGroups = due.groupWanted.size > 0 || due.groupAsked.size > 0;
    const isSilent = outgoing === undefined && !acknowledges && due.hello === undefined;
    if (isSilent && !due.keys && !aboutGroups) return false;
    if (!canSeal(peer)) return false;
    const items = itemsFor(peer, acknowledges, outgoing);
    const packet = sealed(peer, items, outgoing?.beside.map(asBeside));
    if (outgoing !== undefined) offered(peer, outgoing);
    publish(peer, packet, outgoing?.batch);
    return outgoing !== undefined;
  }

  function hasRecords(peer: Peer): boolean {
    return office.isSibling(peer) && peer.outgoing !== undefined && peer.cursor < peer.outgoing.next;
  }

  /** Sees to it that there will be a session, where there is none. */
  function canSeal(peer: Peer): boolean {
    if (peer.sessions.sessions.length > 0 || sealing.begin(peer)) return true;
    if (peer.contact.requestNonce === undefined) peer.due.request = true;
    return false;
  }

  function sealed(peer: Peer, items: readonly Item[], beside: readonly Beside[] = []): Uint8Array {
    const packet = sealing.parcel(peer, items, beside);
    if (packet === undefined) throw new Error('a session was there a moment ago');
    return packet;
  }

  function itemsFor(peer: Peer, acknowledges: boolean, outgoing: Outgoing | undefined): readonly Item[] {
    const { due } = peer;
    const items: Item[] = [];
    if (due.keys || peer.ourKeys.length <= RESERVE_LOW) {
      fillReserve(office, peer);
      items.push({ kind: 'keys', keys: peer.ourKeys });
      due.keys = false;
    }
    if ((acknowledges || due.hello !== undefined) && peer.incoming !== undefined) {
      const { id, through, low, line } = peer.incoming;
      const skipped = peer.incoming.skipped.filter((number) => number >= low);
      const refused = peer.incoming.refused.filter((number) => number >= low);
      const run = line.at(-1)?.[0];
      if (run === undefined) throw new Error('a stream without a line');
      const need = hasRoom() ? (due.ack?.need ?? 'nothing') : 'room';
      peer.toldFull = need === 'room';
      items.push({ kind: 'ack', stream: id, through, run, skipped, refused, need });
    }
    // Behind the acknowledgement, which says more about each number.
    if (due.hello !== undefined) items.push(contact.hello(peer, due.hello.answering));
    due.hello = undefined;
    due.ack = undefined;
    due.batchesSinceAck = 0;
    aboutGroups(peer, items, outgoing?.beside ?? []);
    if (outgoing !== undefined) items.push(outgoing.batch);
    return items;
  }

  /** Before the batch: keys come before what they are for. */
  function aboutGroups(peer: Peer, items: Item[], beside: readonly ForCircle[]): void {
    const { groupWanted, groupAsked } = peer.due;
    const keys = [...groups.keysFor(peer, beside)];
    const denied: GroupDeniedItem['denied'][number][] = [];
    for (const session of groupAsked.values()) {
      const answer = groups.answer(peer, session);
      if (typeof answer === 'string') denied.push({ session, reason: answer });
      else if (!keys.some((key) => key.session === answer.session)) keys.push(answer);
    }
    if (keys.length > 0) items.push({ kind: 'group-keys', keys: keys.slice(0, MAX_GROUP_KEYS) });
    if (denied.length > 0) items.push({ kind: 'group-denied', denied });
    if (groupWanted.size > 0) items.push({ kind: 'group-wanted', sessions: [...groupWanted.values()] });
    groupAsked.clear();
    groupWanted.clear();
  }

  function offered(peer: Peer, outgoing: Outgoing): void {
    const { batch } = outgoing;
    const last = batch.first + batch.records.length - 1;
    peer.cursor = last + 1;
    outbox.attempted(peer, outgoing);
    const skips = batch.records.filter((record) => record.kind === 'skip').length;
    peer.inFlight.push({ first: batch.first, last, skips, taken: false });
    if (peer.outgoing !== undefined && peer.outgoing.offered < last) {
      peer.outgoing = { ...peer.outgoing, offered: last };
    }
    pairChanged(office, peer);
  }

  function request(peer: Peer): void {
    const nonce = office.randomness(NONCE_BYTES);
    peer.contact.requestNonce = nonce;
    publish(peer, sealing.request(peer, nonce), undefined);
    const pause = Math.min(2 ** 20, 2 ** peer.contact.requests) * REQUEST_PAUSE;
    peer.contact.requests += 1;
    clock.after(pause, () => {
      if (peer.contact.requestNonce !== nonce) return;
      peer.contact.requestNonce = undefined;
      if (peer.sessions.sessions.length === 0 && office.isOnline()) peer.due.request = true;
      cycle.wake();
    });
  }

  function publish(peer: Peer, packet: Uint8Array, batch: BatchItem | undefined): void {
    publishing += 1;
    cycle.afterwards(() => {
      office.transport.publish(peer.id, packet).then(
        (outcome) => {
          publishing -= 1;
          if (publishing === 0) office.tell({ kind: 'idle' });
          if (outcome === 'taken') {
            peer.lastError = null;
            if (batch !== undefined) taken(peer, batch);
          } else {
            const before = peer.lastError;
            peer.lastError = outcome;
            if (outcome === 'too-large') tooLarge(peer, batch);
            if (outcome === 'not-allowed' && before !== outcome) {
              office.report({ what: 'not-allowed', device: peer.id, count: 1 });
            }
          }
        },
        (error: unknown) => office.fatal(error),
      );
      if (batch !== undefined) contact.watch(peer);
    });
  }

  /** The broker has it: what it has without a gap counts as published. */
  function taken(peer: Peer, batch: BatchItem): void {
    const envelope = peer.inFlight.find((candidate) => candidate.first === batch.first);
    if (envelope !== undefined) envelope.taken = true;
    if (peer.outgoing === undefined) return;
    let { published } = peer.outgoing;
    for (const { first, last, taken: has } of peer.inFlight) {
      if (!has || first > published + 1) break;
      published = Math.max(published, last);
    }
    if (published === peer.outgoing.published) return;
    peer.outgoing = { ...peer.outgoing, published };
    cycle.later('pair', peer.id, () => recordOf(office, peer));
    for (let n = batch.first; n <= published; n++) outbox.notifyPublished(peer, n);
  }

  /**
   * Fewer records to an envelope, down to one. If that is still too large, the broker is at fault and not the
   * message: what waits is held until there is another connection, and the person is told once.
   */
  function tooLarge(peer: Peer, batch: BatchItem | undefined): void {
    const single = batch === undefined || batch.records.length === 1;
    if (batch !== undefined) {
      goBackTo(peer, batch.first);
      if (!single) peer.batchLimit = Math.max(1, batch.records.length >> 1);
    }
    if (!single) return cycle.wake();
    if (!peer.held) office.report({ what: 'packet-too-large', device: peer.id, count: 1 });
    peer.held = true;
  }

  return { prepare, underWay: () => publishing };
}

function asBeside({ ciphertext, record }: ForCircle): Beside {
  return { bytes: ciphertext, digest: record.digest };
}
