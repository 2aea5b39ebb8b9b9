/**
 * From a decoded envelope to a parcel that is known to be from this peer, for this device, new and whole. Each
 * check stands here once, the cheap ones first: numbers, then MAC or signature, then the ratchet, then what was
 * said inside.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import { parseAgreementKey } from '../../entities/keys.ts';
import { ENVELOPE_LABEL, envelopeDigest, envelopeMac } from '../../entities/pair-keys.ts';
import type { Result } from '../../entities/result.ts';
import { Secret } from '../../entities/secret.ts';
import { hasSeen, highestSeen, markSeen } from '../../entities/seen-numbers.ts';
import {
  addSession,
  newSession,
  type PairSession,
  type SessionId,
  standingOf,
  updateSession,
} from '../../entities/session-set.ts';
import {
  coveredBytes,
  type Envelope,
  type InitialEnvelope,
  type Opened,
  type PairingEnvelope,
  type SealedEnvelope,
  TAG_BYTES,
} from '../../entities/wire/envelope.ts';
import { decodeCore, decodeParcel, type Parcel, type ParcelRefusal } from '../../entities/wire/parcel.ts';
import type { Session } from '../ports/engine.ts';
import type { Beside } from './group-reading.ts';
import type { Office } from './office.ts';
import { type Peer, spendSignatureCheck } from './peer.ts';
import type { Ratchets } from './ratchets.ts';
import { CONTENT_NONCE, dropRetired, envelopeKeys, pairChanged } from './sealing.ts';
import { isOldReplay, noteReceived } from './vigilance.ts';

export type OpeningRefusal =
  /** Seen before: dropped without a thought. */
  | 'replayed'
  /** Likewise, and the broker had handed it over so long ago that it knows. */
  | 'replayed-late'
  /** The session is not held here. */
  | 'session-unknown'
  | 'session-retired'
  | 'mac-wrong'
  | 'signature-wrong'
  | 'signature-budget'
  /** The one-time key that it asks for is not reserved for this peer, or used. */
  | 'key-unknown'
  /** Authentic and new, but the ratchet cannot read it. */
  | 'undecryptable'
  /** Authentic and readable, but what is inside is not what the outside says. */
  | 'context-mismatch'
  | 'attachment-mismatch'
  | 'secret-mismatch'
  | ParcelRefusal;

/** A parcel, and what stood beside it: for the records of its batch. */
export interface OpenedParcel extends Parcel {
  readonly beside: Beside;
}

/** What an envelope has beside it. Hashed once, and only if the cheap checks have passed. */
interface Attached {
  digests(): readonly Uint8Array[];
  bytes(index: number): Uint8Array;
}

function hashing({ hash }: Office, attached: readonly Uint8Array[]): Attached {
  let made: readonly Uint8Array[] | undefined;
  return {
    digests() {
      made ??= attached.map((bytes) => hash(bytes));
      return made;
    },
    bytes(index) {
      const bytes = attached[index];
      if (bytes === undefined) throw new Error('an attachment without bytes');
      return bytes;
    },
  };
}

export type Signed = Exclude<Envelope, SealedEnvelope | PairingEnvelope>;

/** Checks number and signature of a signed envelope, and notes its number. */
export function checkSigned(
  office: Office,
  peer: Peer,
  envelope: Signed,
  covered: () => Uint8Array,
): Result<{ readonly newest: boolean }, 'replayed' | 'signature-budget' | 'signature-wrong'> {
  if (hasSeen(peer.seenSerials, envelope.serial)) return { refused: 'replayed' };
  if (!spendSignatureCheck(peer, office.clock.elapsed())) return { refused: 'signature-budget' };
  const digest = envelopeDigest(office.hash, peer.inContext, covered());
  if (!office.engine.verify(peer.keys.signing, { label: ENVELOPE_LABEL, digest }, envelope.signature)) {
    return { refused: 'signature-wrong' };
  }
  // An honest check costs no budget: only what turns out wrong is to be limited.
  peer.budget.tokens += 1;
  const newest = envelope.serial > highestSeen(peer.seenSerials);
  peer.seenSerials = markSeen(peer.seenSerials, envelope.serial);
  pairChanged(office, peer);
  return { ok: { newest } };
}

export function openParcel(
  office: Office,
  ratchets: Ratchets,
  peer: Peer,
  opened: Opened,
  suspect: (session: SessionId) => 'go-on' | 'given-up',
): Result<OpenedParcel, OpeningRefusal> {
  const { envelope } = opened;
  if (envelope.kind !== 'sealed' && envelope.kind !== 'initial') {
    throw new Error('this envelope holds no parcel');
  }
  const attached = hashing(office, envelope.attached);
  const covered = (): Uint8Array => coveredBytes(opened, attached.digests());
  if (envelope.kind === 'sealed') {
    return openSealed(office, ratchets, peer, { envelope, attached, covered, suspect });
  }
  const checked = checkSigned(office, peer, envelope, covered);
  if ('refused' in checked) return checked;
  const session = sessionByTag(peer, envelope.session);
  if (session !== undefined) {
    if (suspect(session.id) === 'given-up') return { refused: 'session-retired' };
    const read = ratchets.live(session.id).decrypt({ type: 0, body: envelope.body });
    if ('refused' in read) return undecryptable(ratchets, session.id);
    return enter(office, ratchets, peer, session, read.ok, envelope, attached);
  }
  return openFirst(office, ratchets, peer, envelope, attached);
}

export function sessionByTag(peer: Peer, tag: Uint8Array): PairSession | undefined {
  const prefix = toHex(tag);
  return peer.sessions.sessions.find((session) => session.id.startsWith(prefix));
}

function isRetired(peer: Peer, tag: Uint8Array): boolean {
  const prefix = toHex(tag);
  return peer.sessions.retired.some((id) => id.startsWith(prefix));
}

interface Sealed {
  readonly envelope: SealedEnvelope;
  readonly attached: Attached;
  readonly covered: () => Uint8Array;
  readonly suspect: (session: SessionId) => 'go-on' | 'given-up';
}

function openSealed(
  office: Office,
  ratchets: Ratchets,
  peer: Peer,
  { envelope, attached, covered, suspect }: Sealed,
): Result<OpenedParcel, OpeningRefusal> {
  const session = sessionByTag(peer, envelope.session);
  if (session === undefined) {
    const retired = isRetired(peer, envelope.session);
    return { refused: retired ? 'session-retired' : 'session-unknown' };
  }
  const mac = envelopeMac(office.mac, envelopeKeys(office, peer, session).in, covered());
  if (!equal(mac, envelope.mac)) return { refused: 'mac-wrong' };
  if (hasSeen(session.seen, envelope.counter)) {
    return { refused: isOldReplay(peer, envelope.mac) ? 'replayed-late' : 'replayed' };
  }
  noteReceived(peer, envelope.mac, office.clock.elapsed());
  const counted = { ...session, seen: markSeen(session.seen, envelope.counter) };
  peer.sessions = updateSession(peer.sessions, counted, false);
  pairChanged(office, peer);
  if (suspect(session.id) === 'given-up') return { refused: 'session-retired' };
  const read = ratchets.live(session.id).decrypt({ type: 1, body: envelope.body });
  if ('refused' in read) return undecryptable(ratchets, session.id);
  return enter(office, ratchets, peer, counted, read.ok, envelope, attached);
}

function undecryptable(ratchets: Ratchets, id: SessionId): { readonly refused: 'undecryptable' } {
  ratchets.refused(id);
  return { refused: 'undecryptable' };
}

/** A message that begins a session which is not held yet. */
function openFirst(
  office: Office,
  ratchets: Ratchets,
  peer: Peer,
  envelope: InitialEnvelope,
  attached: Attached,
): Result<OpenedParcel, OpeningRefusal> {
  const prefix = toHex(envelope.session);
  if (isRetired(peer, envelope.session)) return { refused: 'session-retired' };
  const wanted = office.account.oneTimeKeyIn(envelope.body);
  const key = wanted === undefined ? undefined : parseAgreementKey(wanted);
  if (key === undefined || 'refused' in key) return { refused: 'undecryptable' };
  if (!peer.ourKeys.some((held) => equal(held, key.ok))) return { refused: 'key-unknown' };
  const accepted = office.account.acceptSession(peer.keys.agreement, envelope.body);
  if ('refused' in accepted) {
    return { refused: accepted.refused === 'olm-unknown-key' ? 'key-unknown' : 'undecryptable' };
  }
  // From here on the key is used up, whatever becomes of the message.
  peer.ourKeys = peer.ourKeys.filter((held) => !equal(held, key.ok));
  office.accountChanged();
  pairChanged(office, peer);
  const { session, plaintext } = accepted.ok;
  const parcel = readParcel(office, peer, plaintext, attached);
  const refusal = 'refused' in parcel ? parcel.refused : checkBeginning(peer, session, parcel.ok, prefix);
  if (refusal !== undefined) {
    session.dispose();
    return { refused: refusal };
  }
  if ('refused' in parcel || parcel.ok.secret === null) throw new Error('checked above');
  const id = toHex(session.id) as SessionId;
  ratchets.adopt(id, session);
  const before = peer.sessions.sessions;
  peer.sessions = addSession(peer.sessions, newSession(id, 'them', new Secret(parcel.ok.secret)), true);
  dropRetired(peer, before, ratchets);
  return parcel;
}

function checkBeginning(
  peer: Peer,
  session: Session,
  parcel: OpenedParcel,
  prefix: string,
): OpeningRefusal | undefined {
  const id = toHex(session.id) as SessionId;
  if (id.slice(0, TAG_BYTES * 2) !== prefix) return 'context-mismatch';
  if (standingOf(peer.sessions, id) !== 'new') return 'session-retired';
  return parcel.secret === null ? 'secret-mismatch' : undefined;
}

/** The text was decrypted in this session: reads it, and lets the session move on. */
function enter(
  office: Office,
  ratchets: Ratchets,
  peer: Peer,
  session: PairSession,
  text: Uint8Array,
  envelope: SealedEnvelope | InitialEnvelope,
  attached: Attached,
): Result<OpenedParcel, OpeningRefusal> {
  ratchets.used(session.id);
  peer.sessions = updateSession(peer.sessions, { ...session, established: true }, true);
  pairChanged(office, peer);
  const parcel = readParcel(office, peer, text, attached);
  if ('refused' in parcel) return parcel;
  const { secret } = parcel.ok;
  if (envelope.kind === 'sealed') return secret === null ? parcel : { refused: 'secret-mismatch' };
  if (secret === null || !equal(secret, session.secret.expose())) return { refused: 'secret-mismatch' };
  return parcel;
}

function readParcel(
  office: Office,
  peer: Peer,
  text: Uint8Array,
  attached: Attached,
): Result<OpenedParcel, OpeningRefusal> {
  const core = decodeCore(text);
  if ('refused' in core) return core;
  const beside = attached.digests().map((digest, i) => [toHex(digest), attached.bytes(i)] as const);
  let padded: Uint8Array;
  if ('inside' in core.ok) {
    padded = core.ok.inside;
  } else {
    const { key, digest, context } = core.ok;
    const [name, data] = beside.shift() ?? [];
    if (!equal(context, peer.inContext)) return { refused: 'context-mismatch' };
    if (data === undefined || name !== toHex(digest)) return { refused: 'attachment-mismatch' };
    const opened = office.cipher.open({ key, nonce: CONTENT_NONCE, aad: context, data });
    if (opened === undefined) return { refused: 'attachment-mismatch' };
    padded = opened;
  }
  const parcel = decodeParcel(padded);
  if ('refused' in parcel) return parcel;
  if (!equal(parcel.ok.context, peer.inContext)) return { refused: 'context-mismatch' };
  return { ok: { ...parcel.ok, beside: new Map(beside) } };
}
