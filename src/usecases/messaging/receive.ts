/**
 * From a packet to its effects. Packets wait in a bounded queue; each is handled whole, in one go, and what it
 * changes is committed before anything of it can be seen from outside.
 */
import { toHex } from '../../entities/bytes.ts';
import { retireSession, type SessionId } from '../../entities/session-set.ts';
import { decodeEnvelope, type Opened, type PairingEnvelope } from '../../entities/wire/envelope.ts';
import { type GroupWantedItem, MAX_GROUP_KEYS } from '../../entities/wire/group-items.ts';
import type { AckItem, Item } from '../../entities/wire/items.ts';
import type { Contact } from './contact.ts';
import type { Farewell } from './farewell.ts';
import type { Gossip } from './gossip.ts';
import type { Beside } from './group-reading.ts';
import type { Intake } from './intake.ts';
import type { Office } from './office.ts';
import { checkSigned, openParcel, type Signed } from './opening.ts';
import type { Outbox } from './outbox.ts';
import { isDue, type Peer } from './peer.ts';
import type { Quarantine } from './quarantine.ts';
import type { Ratchets } from './ratchets.ts';
import { dropRetired, packetNonce, pairChanged } from './sealing.ts';
import type { Vigilance } from './vigilance.ts';

const MAX_QUEUED = 4096;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** Packets handled before others get a turn. */
const PACKETS_PER_TURN = 64;

type Urgency = 'at-once' | 'can-wait';

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
  readonly intake: Intake;
  readonly ratchets: Ratchets;
  readonly contact: Contact;
  readonly quarantine: Quarantine;
  readonly vigilance: Pick<Vigilance, 'onReplay'>;
  readonly gossip: Pick<Gossip, 'onEntries' | 'onWanted' | 'onDigest'>;
  readonly farewell: Pick<Farewell, 'onStranger' | 'onNotice'>;
  readonly onPairing: (envelope: PairingEnvelope, covered: Uint8Array) => void;
}

export function createReceiving(parts: ReceivingParts): Receiving {
  const { office, outbox, intake, ratchets, contact, quarantine, vigilance, gossip, farewell } = parts;
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
    office.cycle.unhurried(() => {
      try {
        if (!quarantine.holds(packet)) return open(packet);
        office.count('quarantined');
      } catch (error) {
        quarantine.condemn(packet, error);
      }
      return 'at-once';
    });
  }

  function open(packet: Uint8Array): Urgency {
    const decoded = decodeEnvelope(packet);
    if ('refused' in decoded) {
      office.count(decoded.refused);
      return 'at-once';
    }
    const { envelope, head } = decoded.ok;
    const peer = office.peers.get(envelope.from);
    // From somebody who is to become a peer, or is not to.
    if (envelope.kind === 'pairing') parts.onPairing(envelope, head);
    else if (peer === undefined) farewell.onStranger(envelope.from);
    else if (envelope.kind === 'sealed' || envelope.kind === 'initial') {
      return openSealed(peer, decoded.ok, packet);
    } else openSigned(peer, envelope, head);
    return 'at-once';
  }

  function openSigned(peer: Peer, envelope: Signed, head: Uint8Array): void {
    const checked = checkSigned(office, peer, envelope, () => head);
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

  function openSealed(peer: Peer, opened: Opened, packet: Uint8Array): Urgency {
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
      if (parcel.refused === 'replayed-late') vigilance.onReplay(peer);
      if (parcel.refused === 'undecryptable') contact.onWedged(peer);
      // A tag that was never heard of may be anybody's junk, and is not worth a step.
      if (parcel.refused === 'session-retired') contact.onStray(peer);
      if (parcel.refused === 'key-unknown') contact.onKeyUnknown(peer, packetNonce(office, packet));
      return 'at-once';
    }
    contact.heard(peer);
    peer.contact.rekeys = 0;
    for (const item of parcel.ok.items) {
      // What one item says may have removed the sender.
      if (peer.gone) return 'at-once';
      take(peer, item, parcel.ok.beside);
    }
    if (!peer.gone) gossip.onDigest(peer, parcel.ok.roster);
    const isAnswer = parcel.ok.items.every(({ kind }) => kind === 'ack');
    return isAnswer && !isDue(peer) ? 'can-wait' : 'at-once';
  }

  function giveUpSession(peer: Peer, session: SessionId, name: string): void {
    const before = peer.sessions.sessions;
    peer.sessions = retireSession(peer.sessions, session);
    dropRetired(peer, before, ratchets);
    pairChanged(office, peer);
    quarantine.clear(name);
    contact.onWedged(peer);
  }

  function take(peer: Peer, item: Item, beside: Beside): void {
    switch (item.kind) {
      case 'batch':
        return intake.take(peer, { batch: item, beside });
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
      case 'group-keys':
        return intake.onGroupKeys(peer, item);
      case 'group-wanted':
        return noteAsked(peer, item);
      case 'group-denied':
        return intake.onGroupDenied(peer, item);
      case 'unknown':
        return office.count('item-unknown');
    }
  }

  /** No more than one item can answer; whoever asks for more than that asks again. */
  function noteAsked(peer: Peer, { sessions }: GroupWantedItem): void {
    const { groupAsked } = peer.due;
    for (const session of sessions) {
      if (groupAsked.size < MAX_GROUP_KEYS) groupAsked.set(toHex(session), session);
    }
    office.cycle.wake();
  }

  function takeAck(peer: Peer, ack: AckItem): void {
    const outcome = outbox.acknowledge(peer, ack);
    if (outcome === 'ahead') return contact.onAhead(peer);
    contact.onRoom(peer, ack.need !== 'room');
    if (ack.need !== 'nothing') contact.onGap(peer, ack);
    office.cycle.wake();
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
