/** A sibling device as this one knows it: what both share, durably, and what is going on with it just now. */
import type { DeviceId } from '../../entities/device-id.ts';
import type { GroupSessionId } from '../../entities/group-session.ts';
import type { IncomingStream } from '../../entities/incoming-stream.ts';
import type { AgreementKey, DeviceKeys } from '../../entities/keys.ts';
import { parseAgreementKey } from '../../entities/keys.ts';
import type { OutgoingStream } from '../../entities/outgoing-stream.ts';
import type { Party } from '../../entities/pair-keys.ts';
import type { EntryHash } from '../../entities/roster/entry.ts';
import { Secret } from '../../entities/secret.ts';
import { nothingSeen, type SeenNumbers } from '../../entities/seen-numbers.ts';
import { noSessions, type SessionId, type SessionSet } from '../../entities/session-set.ts';
import type { BatchItem, Need } from '../../entities/wire/items.ts';
import type { PairRecord } from '../ports/records.ts';
import type { Beside } from './group-reading.ts';
import type { Addressee } from './lot.ts';
import { newVigil, type Vigil } from './vigilance.ts';

export interface Peer {
  readonly id: DeviceId;
  readonly keys: DeviceKeys;
  /** `pairContext`, from us to them and from them to us. */
  readonly outContext: Uint8Array;
  readonly inContext: Uint8Array;
  /**
   * `void`: nobody removed it, but its additions have lost their force. It is told what members know, and nothing
   * else goes to it or is taken from it.
   */
  standing: 'member' | 'void';
  /** It was removed: whatever still holds this object is too late. */
  gone: boolean;

  // Durable: see PairRecord.
  sessions: SessionSet;
  theirKeys: AgreementKey[];
  ourKeys: AgreementKey[];
  serial: number;
  seenSerials: SeenNumbers;
  outgoing: OutgoingStream | undefined;
  incoming: IncomingStream | undefined;
  formerIncoming: readonly Uint8Array[];
  frozen: boolean;

  // Of this run.
  readonly envelopeKeys: Map<SessionId, { readonly out: Secret; readonly in: Secret }>;
  /** Keys that were used up, so that a late answer does not bring them back. */
  spentKeys: AgreementKey[];
  /** What was accepted for it and not yet answered for, by ascending number, without gaps. */
  pending: Addressee[];
  /** The next number to put into an envelope. */
  cursor: number;
  /** Group sessions whose keys went to it since the cursor last went back: what was sent before may be lost. */
  readonly groupKeysSent: Set<GroupSessionId>;
  /** Envelopes with records that are out: the numbers in each, and whether the broker has it. */
  inFlight: { readonly first: number; readonly last: number; readonly skips: number; taken: boolean }[];
  /** Batches that came too early, or before the key to what is in them. */
  readonly early: Map<number, Consignment>;
  /** Ids of what it sent us, as far as still in the inbox; made when it first numbers something again. */
  receivedIds: Set<string> | undefined;
  /** True while that set is being made: what it numbered again is not taken until then. */
  gatheringIds: boolean;
  readonly due: Due;
  readonly contact: Contact;
  readonly gossip: PeerGossip;
  readonly vigil: Vigil;
  readonly budget: { tokens: number; filledAt: number };
  /** It has no room for more; nothing is sent until it says otherwise. */
  full: boolean;
  /** It was told that we have no room. */
  toldFull: boolean;
  /** The broker takes not even one record: nothing is sent until there is another connection. */
  held: boolean;
  lastError: string | null;
  /** The most records that go into one envelope: less where the broker found an envelope too large. */
  batchLimit: number;
}

/** What has to be sent when the next commit begins. */
export interface Due {
  greeting: boolean;
  hello: { answering: Uint8Array | null } | undefined;
  ack: { need: Need } | undefined;
  batchesSinceAck: number;
  keys: boolean;
  request: boolean;
  answer: { nonce: Uint8Array } | undefined;
  /** Group sessions of its own whose keys are missing here, by their ids in hexadecimal. */
  readonly groupWanted: Map<string, Uint8Array>;
  /** Group sessions of ours whose keys it asks for. */
  readonly groupAsked: Map<string, Uint8Array>;
}

/** A batch, and what stood beside the parcel that it came in. */
export interface Consignment {
  readonly batch: BatchItem;
  readonly beside: Beside;
}

/** What this device and the peer know of each other's membership logs. */
export interface PeerGossip {
  /** Entries that it is to be sent. */
  queue: Set<EntryHash>;
  /** Its roster's digest, as it stood in the last thing that it said. */
  digest: Uint8Array | undefined;
  /** When it may be asked again why its digest differs, and how often it was. */
  askNotBefore: number;
  asks: number;
  /** The digests that were compared when it was last asked. */
  asked: string;
  /** It was sent what we were told of our own removal; again with every hello. */
  told: boolean;
}

/** What we asked and wait for. */
export interface Question {
  readonly nonce: Uint8Array;
  readonly by: 'greeting' | 'hello';
  /** In the running time of this process: an answer says how things stood then, however late it comes. */
  readonly at: number;
  /** All numbers below had been sent before. */
  readonly cursorThen: number;
  /** How many entries of its own chain of the membership log it had shown us before. */
  readonly chainThen: number;
}

export interface Contact {
  lastHeard: number | undefined;
  asked: Question[];
  attempts: number;
  /** When it was last greeted. */
  greetedAt: number;
  cancelRetry: (() => void) | undefined;
  requestNonce: Uint8Array | undefined;
  requests: number;
  /** Nonces of the last messages of ours that begin the newest session: an answer may name any of them. */
  initialNonces: readonly Uint8Array[];
  rekeyNotBefore: number;
  rekeys: number;
  answerNotBefore: number;
  strayNotBefore: number;
  stalledAt: number;
  stalls: number;
  goneBackTo: number;
  goBackNotBefore: number;
  /** What it said it sends, and since when some of that is missing. */
  announced: { readonly stream: Uint8Array; readonly next: number; readonly since: number } | undefined;
}

export function newPeer(
  { id, keys }: Party,
  contexts: { readonly outContext: Uint8Array; readonly inContext: Uint8Array },
  standing: Peer['standing'],
  record: PairRecord | undefined,
): Peer {
  return {
    id,
    keys,
    ...contexts,
    standing,
    gone: false,
    ...(record === undefined ? blank() : fromRecord(record)),
    envelopeKeys: new Map(),
    spentKeys: [],
    pending: [],
    cursor: 1,
    groupKeysSent: new Set(),
    inFlight: [],
    early: new Map(),
    receivedIds: undefined,
    gatheringIds: false,
    due: {
      greeting: false,
      hello: undefined,
      ack: undefined,
      batchesSinceAck: 0,
      keys: false,
      request: false,
      answer: undefined,
      groupWanted: new Map(),
      groupAsked: new Map(),
    },
    contact: {
      lastHeard: undefined,
      asked: [],
      attempts: 0,
      greetedAt: 0,
      cancelRetry: undefined,
      requestNonce: undefined,
      requests: 0,
      initialNonces: [],
      rekeyNotBefore: 0,
      rekeys: 0,
      answerNotBefore: 0,
      strayNotBefore: 0,
      stalledAt: -1,
      stalls: 0,
      goneBackTo: 0,
      goBackNotBefore: 0,
      announced: undefined,
    },
    gossip: { queue: new Set(), digest: undefined, askNotBefore: 0, asks: 0, asked: '', told: false },
    vigil: newVigil(),
    budget: { tokens: SIGNATURE_BURST, filledAt: 0 },
    full: false,
    toldFull: false,
    held: false,
    lastError: null,
    batchLimit: 1024,
  };
}

/** What waits under this number, as far as it was not answered for. */
export function pendingAt(peer: Peer, number: number): Addressee | undefined {
  const [first] = peer.pending;
  return first === undefined ? undefined : peer.pending[number - first.number];
}

/** Whether there is anything to be said to it, or sent. */
export function isDue({ due, outgoing, cursor }: Peer): boolean {
  const asked = due.greeting || due.request || due.answer !== undefined || due.hello !== undefined;
  const toSay = asked || due.ack !== undefined || due.keys;
  const aboutGroups = due.groupWanted.size > 0 || due.groupAsked.size > 0;
  return toSay || aboutGroups || (outgoing !== undefined && cursor < outgoing.next);
}

/** What is behind goes out again, from this number on. */
export function goBackTo(peer: Peer, number: number): void {
  peer.cursor = Math.min(peer.cursor, number);
  peer.inFlight = peer.inFlight.filter((envelope) => envelope.last < peer.cursor);
  peer.groupKeysSent.clear();
}

type Durable = Pick<
  Peer,
  | 'sessions'
  | 'theirKeys'
  | 'ourKeys'
  | 'serial'
  | 'seenSerials'
  | 'outgoing'
  | 'incoming'
  | 'formerIncoming'
  | 'frozen'
>;

function blank(): Durable {
  return {
    sessions: noSessions,
    theirKeys: [],
    ourKeys: [],
    serial: 0,
    seenSerials: nothingSeen,
    outgoing: undefined,
    incoming: undefined,
    formerIncoming: [],
    frozen: false,
  };
}

export function toRecord(peer: Peer): PairRecord {
  return {
    sessions: peer.sessions.sessions.map((session) => ({
      id: session.id,
      ours: session.begunBy === 'us',
      secret: session.secret.expose(),
      established: session.established,
      sent: session.sent,
      seen: session.seen,
    })),
    retired: peer.sessions.retired,
    theirKeys: peer.theirKeys,
    ourKeys: peer.ourKeys,
    serial: peer.serial,
    seenSerials: peer.seenSerials,
    outgoing: peer.outgoing === undefined ? null : { ...peer.outgoing },
    incoming: peer.incoming === undefined ? null : { ...peer.incoming },
    formerIncoming: peer.formerIncoming,
    frozen: peer.frozen,
  };
}

function fromRecord(record: PairRecord): Durable {
  return {
    sessions: {
      sessions: record.sessions.map((session) => ({
        id: session.id as SessionId,
        begunBy: session.ours ? 'us' : 'them',
        secret: new Secret(session.secret),
        established: session.established,
        sent: session.sent,
        seen: toSeen(session.seen),
      })),
      retired: record.retired as readonly SessionId[],
    },
    theirKeys: record.theirKeys.map(toKey),
    ourKeys: record.ourKeys.map(toKey),
    serial: record.serial,
    seenSerials: toSeen(record.seenSerials),
    outgoing: record.outgoing ?? undefined,
    incoming: record.incoming ?? undefined,
    formerIncoming: record.formerIncoming,
    frozen: record.frozen,
  };
}

function toKey(bytes: Uint8Array): AgreementKey {
  const parsed = parseAgreementKey(bytes);
  if ('refused' in parsed) throw new Error('a stored one-time key is not one');
  return parsed.ok;
}

function toSeen(runs: readonly (readonly number[])[]): SeenNumbers {
  return runs.map(([first = 0, last = 0]) => [first, last] as const);
}

export const SIGNATURE_BURST = 80;
const SIGNATURES_PER_SECOND = 40;

/** A signature check costs far more than a MAC, so each claimed sender has a budget of them. */
export function spendSignatureCheck(peer: Peer, elapsed: number): boolean {
  const earned = ((elapsed - peer.budget.filledAt) * SIGNATURES_PER_SECOND) / 1000;
  peer.budget.tokens = Math.min(SIGNATURE_BURST, peer.budget.tokens + Math.max(0, earned));
  peer.budget.filledAt = elapsed;
  if (peer.budget.tokens < 1) return false;
  peer.budget.tokens -= 1;
  return true;
}
