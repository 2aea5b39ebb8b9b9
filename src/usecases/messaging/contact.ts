/**
 * Finding each other: greetings and hellos, new sessions where none is left that both hold, and what it means
 * when a peer remembers more of us than we do.
 *
 * A greeting is signed and needs no session. It is answered with a hello, inside a session, which names the
 * greeting's nonce; that hello is answered with ours, and both know what the other holds. Whatever was sent
 * before a nonce and is missing in the hello that names it was lost on the way, and is sent again.
 *
 * Longer than most, because all of it reads and moves the same few marks of one conversation.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import { type OutgoingStream, same } from '../../entities/outgoing-stream.ts';
import { lastEntry } from '../../entities/roster/compose.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import { retireSession, sessionToSendOn } from '../../entities/session-set.ts';
import {
  type AnswerEnvelope,
  type GreetingEnvelope,
  NONCE_BYTES,
  type RequestEnvelope,
} from '../../entities/wire/envelope.ts';
import type { AckItem, HelloItem } from '../../entities/wire/items.ts';
import type { Gossip } from './gossip.ts';
import type { GroupSending } from './group-sending.ts';
import type { Office } from './office.ts';
import { createOldCopy } from './old-copy.ts';
import type { Outbox } from './outbox.ts';
import { goBackTo, type Peer } from './peer.ts';
import type { Ratchets } from './ratchets.ts';
import { dropRetired, pairChanged, RESERVE_LOW, type Sealing } from './sealing.ts';
import type { Vigilance } from './vigilance.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const LONGEST_PAUSE = 2 ** 20 * SECOND;
const MAX_ASKED = 4;
/** How long records may be out without an answer before the peer is asked. */
const STALL = 10 * SECOND;
/** Beyond any clock; what claims to have seen more is wrong. Twice as much is still a whole number. */
const MAX_SERIAL = 2 ** 52;
const WITHHELD_AFTER = 10 * MINUTE;
/** A connection may stand for months without a word. */
const SILENCE = 24 * 60 * MINUTE;
const SILENCE_WHEN_STALE = 10 * MINUTE;

export interface Contact {
  /** We are connected: everybody is greeted. */
  connected(): void;
  disconnected(): void;
  greet(peer: Peer): void;
  heard(peer: Peer): void;
  onGreeting(peer: Peer, greeting: GreetingEnvelope): void;
  onHello(peer: Peer, hello: HelloItem): void;
  onRequest(peer: Peer, request: RequestEnvelope): void;
  onAnswer(peer: Peer, answer: AnswerEnvelope): void;
  /** A message of theirs asked for a key that is gone; `nonce` names the message. */
  onKeyUnknown(peer: Peer, nonce: Uint8Array): void;
  /** Something authentic could not be read. */
  onWedged(peer: Peer): void;
  /** Something came in a session that is no longer held; nobody knows whether it is authentic. */
  onStray(peer: Peer): void;
  /** The peer said whether it has room for more. */
  onRoom(peer: Peer, has: boolean): void;
  /** We have room again: whoever was told otherwise is told. */
  roomAgain(): void;
  /** The peer misses what it should have. */
  onGap(peer: Peer, ack: AckItem): void;
  /** The peer has seen of us what we do not remember. */
  onAhead(peer: Peer): void;
  /** The hello that is due, as it stands now. */
  hello(peer: Peer, answering: Uint8Array | null): HelloItem;
  /** Notes a question that goes out, so that its answer is known. */
  asking(peer: Peer, by: 'greeting' | 'hello'): Uint8Array;
  /** Records went out: if no answer comes, the peer is asked. */
  watch(peer: Peer): void;
  /** Something waits for the peer until a member has shown what it knows of the membership: it is asked. */
  freshen(peer: Peer): void;
  /** Looks for peers whose announced messages do not arrive. */
  checkWithheld(): void;
  /**
   * Greets those with whom all has been quiet for long: an idle device would otherwise not hear that it was removed,
   * or grow stale while it is connected.
   */
  breakSilence(): void;
}

export interface ContactParts {
  readonly office: Office;
  readonly outbox: Outbox;
  readonly ratchets: Ratchets;
  readonly sealing: Sealing;
  readonly groups: Pick<GroupSending, 'rotateAll'>;
  readonly vigilance: Vigilance;
  readonly membership: () => Membership;
  /** Made after this, because it greets. */
  readonly gossip: () => Pick<Gossip, 'onHello' | 'isFresh'>;
}

export function createContact(parts: ContactParts): Contact {
  const { office, outbox, ratchets, sealing, groups, vigilance, membership, gossip } = parts;
  const { clock } = office;
  const oldCopy = createOldCopy(office, outbox, ratchets, (peer) => greetWithin(peer, SECOND), groups);

  /** Greets it, but not so soon after the last time; where a try is waiting already, its turn comes by itself. */
  function greetWithin(peer: Peer, pause: number): void {
    const { contact } = peer;
    const left = contact.greetedAt + pause - clock.elapsed();
    if (left <= 0) return greet(peer);
    if (!office.isOnline() || contact.cancelRetry !== undefined) return;
    contact.cancelRetry = clock.after(left, () => {
      contact.cancelRetry = undefined;
      if (office.isOnline()) greet(peer);
    });
  }

  function greet(peer: Peer): void {
    if (peer.gone) return;
    peer.due.greeting = true;
    office.cycle.wake();
  }

  /** The next try comes after twice the pause of the one before, however little is heard. */
  function retryLater(peer: Peer): void {
    const { contact } = peer;
    contact.cancelRetry?.();
    const pause = Math.min(LONGEST_PAUSE, SECOND * 2 ** contact.attempts);
    contact.cancelRetry = clock.after(pause, () => {
      contact.cancelRetry = undefined;
      if (!office.isOnline()) return;
      contact.attempts += 1;
      greet(peer);
    });
  }

  /** How much of its own chain of the membership log it has shown us. */
  const chainOf = (peer: Peer): number => lastEntry(membership(), peer.id)?.sequence ?? 0;

  function asking(peer: Peer, by: 'greeting' | 'hello'): Uint8Array {
    const nonce = office.randomness(NONCE_BYTES);
    const at = clock.elapsed();
    const asked = { nonce, by, at, cursorThen: peer.cursor, chainThen: chainOf(peer) };
    peer.contact.asked = [asked, ...peer.contact.asked].slice(0, MAX_ASKED);
    if (by === 'greeting') {
      vigilance.asked(peer);
      peer.contact.greetedAt = clock.elapsed();
      retryLater(peer);
    }
    return nonce;
  }

  function heard(peer: Peer): void {
    peer.contact.lastHeard = clock.elapsed();
    vigilance.heard(peer);
    office.tell({ kind: 'alive', device: peer.id });
  }

  function goBack(peer: Peer, to: number): void {
    if (peer.cursor <= to) return;
    goBackTo(peer, to);
    office.cycle.wake();
  }

  /** Records are out: unless they get through, the peer is asked, after pauses that double while they do not. */
  function watch(peer: Peer): void {
    const { contact } = peer;
    if (peer.gone) return;
    if (contact.cancelRetry !== undefined || (peer.inFlight.length === 0 && !peer.full)) return;
    const through = peer.outgoing?.through ?? 0;
    contact.stalls = through === contact.stalledAt ? contact.stalls + 1 : 0;
    contact.stalledAt = through;
    const pause = Math.min(LONGEST_PAUSE, STALL * 2 ** contact.stalls);
    contact.cancelRetry = clock.after(pause, () => {
      contact.cancelRetry = undefined;
      if (!office.isOnline() || (peer.inFlight.length === 0 && !peer.full)) return;
      if ((peer.outgoing?.through ?? 0) > through) watch(peer);
      else greet(peer);
    });
  }

  /** Sees to it that there is a session to send on; at most one new one a minute, and fewer if that helps not. */
  function rekey(peer: Peer): void {
    const { contact } = peer;
    const now = clock.elapsed();
    if (now < contact.rekeyNotBefore) return;
    contact.rekeyNotBefore = now + MINUTE * 2 ** Math.min(contact.rekeys, 10);
    contact.rekeys += 1;
    if (sealing.begin(peer)) peer.due.hello ??= { answering: null };
    else peer.due.request = true;
    office.cycle.wake();
  }

  function settleMarks(peer: Peer, hello: HelloItem, cursorThen: number | undefined): void {
    const { received } = hello;
    if (oldCopy.resolve(peer, received)) return;
    if (received !== null) outbox.settleReceived(peer, received);
    if (peer.outgoing !== undefined && cursorThen !== undefined) {
      const has = received !== null && same(received.stream, peer.outgoing.id) ? received.through : 0;
      const missing = Math.max(has, peer.outgoing.through) + 1;
      if (missing < Math.min(cursorThen, peer.cursor)) goBack(peer, missing);
    }
  }

  /** What was announced longest ago and is still missing counts: a later hello does not put it off. */
  function noteAnnounced(peer: Peer, sending: HelloItem['sending']): void {
    const { announced } = peer.contact;
    const { incoming } = peer;
    // Between two of whom one is no member nothing is sent, so nobody holds it back.
    if (sending === null || !office.isSibling(peer)) {
      peer.contact.announced = undefined;
      return;
    }
    const through = incoming !== undefined && same(incoming.id, sending.stream) ? incoming.through : 0;
    const awaited = announced !== undefined && same(announced.stream, sending.stream) ? announced : undefined;
    if (awaited !== undefined && awaited.next - 1 > through) return;
    const { stream, next } = sending;
    peer.contact.announced = { stream, next, since: clock.elapsed() };
  }

  return {
    greet,
    asking,
    heard,

    connected() {
      for (const peer of office.peers.values()) {
        peer.contact.attempts = 0;
        peer.contact.asked = [];
        greet(peer);
      }
    },

    disconnected() {
      for (const peer of office.peers.values()) {
        peer.contact.cancelRetry?.();
        peer.contact.cancelRetry = undefined;
      }
      vigilance.disconnected();
    },

    onGreeting(peer, greeting) {
      heard(peer);
      if (greeting.seenSerial > peer.serial && greeting.seenSerial <= MAX_SERIAL) {
        peer.serial = greeting.seenSerial;
        pairChanged(office, peer);
        oldCopy.found(peer);
      }
      const theirs = greeting.sessions.map(toHex);
      const before = peer.sessions.sessions;
      for (const session of before) {
        const held = theirs.some((tag) => session.id.startsWith(tag));
        // One of ours that they have not seen yet is on its way to them.
        if (!held && session.established) peer.sessions = retireSession(peer.sessions, session.id);
      }
      if (peer.sessions.sessions.length !== before.length) {
        dropRetired(peer, before, ratchets);
        pairChanged(office, peer);
      }
      const shared = peer.sessions.sessions.some((session) =>
        theirs.some((tag) => session.id.startsWith(tag)),
      );
      peer.due.hello = { answering: greeting.nonce };
      if (!shared) rekey(peer);
      office.cycle.wake();
    },

    onHello(peer, hello) {
      const asked = peer.contact.asked.find(
        ({ nonce }) => hello.answering !== null && equal(nonce, hello.answering),
      );
      if (asked !== undefined) {
        peer.contact.asked = peer.contact.asked.filter((other) => other !== asked);
        peer.contact.cancelRetry?.();
        peer.contact.cancelRetry = undefined;
        peer.contact.attempts = 0;
        vigilance.answered(peer, asked.at);
        vigilance.onHearsay(peer, asked.at, hello.heard);
      }
      settleMarks(peer, hello, asked?.cursorThen);
      watch(peer);
      gossip().onHello(peer, hello, asked);
      noteAnnounced(peer, hello.sending);
      if (hello.keysLeft <= RESERVE_LOW) peer.due.keys = true;
      if (hello.answering === null || asked?.by === 'greeting') peer.due.hello = { answering: hello.nonce };
      if (peer.incoming !== undefined) peer.due.ack ??= { need: 'nothing' };
      office.cycle.wake();
    },

    onRequest(peer, request) {
      heard(peer);
      peer.due.answer = { nonce: request.nonce };
      office.cycle.wake();
    },

    onAnswer(peer, answer) {
      const { contact } = peer;
      const again = contact.initialNonces.some((nonce) => equal(nonce, answer.nonce));
      const asked = contact.requestNonce !== undefined && equal(contact.requestNonce, answer.nonce);
      if (!again && !asked) return office.count('answer-unasked');
      heard(peer);
      peer.theirKeys = answer.keys.filter((key) => !peer.spentKeys.some((spent) => equal(spent, key)));
      contact.requestNonce = undefined;
      contact.requests = 0;
      contact.initialNonces = [];
      pairChanged(office, peer);
      if (again || sessionToSendOn(peer.sessions) === undefined) {
        if (sealing.begin(peer)) peer.due.hello ??= { answering: null };
      }
      office.cycle.wake();
    },

    onKeyUnknown(peer, nonce) {
      const now = clock.elapsed();
      if (now < peer.contact.answerNotBefore) return;
      peer.contact.answerNotBefore = now + SECOND;
      peer.due.answer = { nonce };
      office.cycle.wake();
    },

    onWedged: rekey,

    onStray(peer) {
      const now = clock.elapsed();
      if (now < peer.contact.strayNotBefore) return;
      peer.contact.strayNotBefore = now + MINUTE;
      greet(peer);
    },

    onRoom(peer, has) {
      if (!has && !peer.full) office.report({ what: 'peer-inbox-full', device: peer.id, count: 1 });
      peer.full = !has;
      if (has) office.cycle.wake();
      else watch(peer);
    },

    roomAgain() {
      for (const peer of office.peers.values()) {
        if (!peer.toldFull) continue;
        peer.due.ack ??= { need: 'nothing' };
        office.cycle.wake();
      }
    },

    onGap(peer, ack) {
      const { outgoing, contact } = peer;
      if (outgoing === undefined || !same(ack.stream, outgoing.id) || peer.frozen) return;
      const missing = Math.max(ack.through, outgoing.through) + 1;
      // The same gap is reported by everything that was under way behind it.
      if (contact.goneBackTo === missing && clock.elapsed() < contact.goBackNotBefore) return;
      contact.goneBackTo = missing;
      contact.goBackNotBefore = clock.elapsed() + SECOND;
      goBack(peer, missing);
    },

    onAhead: oldCopy.found,

    hello(peer, answering) {
      const { incoming, outgoing } = peer;
      return {
        kind: 'hello',
        nonce: asking(peer, 'hello'),
        answering,
        received:
          incoming === undefined
            ? null
            : {
                stream: incoming.id,
                through: incoming.through,
                line: incoming.line,
                skipped: incoming.skipped,
              },
        sending:
          outgoing === undefined
            ? null
            : { stream: outgoing.id, low: outgoing.through + 1, next: announcedNext(outgoing) },
        heads: office.heads(),
        keysLeft: peer.theirKeys.length,
        heard: vigilance.hearsay(),
      };
    },

    watch,

    freshen(peer) {
      if (peer.contact.cancelRetry === undefined) greetWithin(peer, STALL);
    },

    breakSilence() {
      if (!office.isOnline()) return;
      const longest = gossip().isFresh() ? SILENCE : SILENCE_WHEN_STALE;
      for (const peer of office.peers.values()) {
        const { cancelRetry, greetedAt } = peer.contact;
        // Where a try is waiting already, its turn comes by itself.
        if (cancelRetry === undefined && clock.elapsed() - greetedAt >= longest) greet(peer);
      }
    },

    checkWithheld() {
      for (const peer of office.peers.values()) {
        const { announced } = peer.contact;
        // Where it was told to wait, it does.
        if (peer.toldFull) peer.contact.announced = undefined;
        if (announced === undefined || peer.toldFull) continue;
        if (clock.elapsed() - announced.since < WITHHELD_AFTER) continue;
        const { incoming } = peer;
        const through = incoming !== undefined && same(incoming.id, announced.stream) ? incoming.through : 0;
        const missing = announced.next - 1 - through;
        peer.contact.announced = undefined;
        const since = Math.floor(clock.now() - (clock.elapsed() - announced.since));
        if (missing > 0) office.report({ what: 'messages-withheld', device: peer.id, count: missing, since });
      }
    },
  };
}

/** What the broker has taken so far: only that can be missed. */
function announcedNext({ through, published }: OutgoingStream): number {
  return Math.max(through, published) + 1;
}
