/**
 * The envelope: what the broker sees. One version byte, then one CBOR array whose first item is the kind.
 *
 * Every kind names its sender and carries a number under its authenticator. Of devices that know each other it is
 * one that the sender never uses twice; in a pairing it is the step, which is answered alike however often it comes.
 * An envelope says nothing about its recipient: that is bound into what is authenticated (see `pair-keys`).
 *
 * Longer than most: seven kinds, each with its fields, its encoder and its reader.
 */
import { type DeviceId, deviceIdBytes, deviceIdFromBytes } from '../device-id.ts';
import { type AgreementKey, type KeyRefusal, parseAgreementKey } from '../keys.ts';
import type { Result } from '../result.ts';
import { type Caps, type CborRefusal, decode, encodeWithin, type Value } from './cbor.ts';

export const WIRE_VERSION = 1;
export const MAC_BYTES = 16;
export const NONCE_BYTES = 16;
export const TAG_BYTES = 8;
export const SIGNATURE_BYTES = 64;
/** Sixty-four KiB of payload, what surrounds it, and the padding. */
export const MAX_ENVELOPE_BYTES = 160 * 1024;
export const MAX_RESERVED_KEYS = 5;
export const PAIRING_MAC_BYTES = 32;
export const PAIRING_ABORT = 7;
export const MAX_NOTICE_ENTRIES = 16;
export const MAX_NOTICE_ENTRY_BYTES = 32 * 1024;
const MAX_ATTACHED = 257;
const MAX_TAGS = 8;

const KIND = { sealed: 1, initial: 2, greeting: 3, request: 4, answer: 5, notice: 6, pairing: 7 } as const;

/** A message in a session that both ends have used, under the pair's MAC. */
export interface SealedEnvelope {
  readonly kind: 'sealed';
  readonly from: DeviceId;
  /** The first eight bytes of the session's id. */
  readonly session: Uint8Array;
  readonly counter: number;
  readonly body: Uint8Array;
  /** Ciphertexts whose keys or hashes stand in the body. */
  readonly attached: readonly Uint8Array[];
  readonly mac: Uint8Array;
}

/** A message that begins a session, signed, because no pair key is known yet. */
export interface InitialEnvelope {
  readonly kind: 'initial';
  readonly from: DeviceId;
  readonly serial: number;
  readonly session: Uint8Array;
  readonly body: Uint8Array;
  readonly attached: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** "I am here, this is what I hold, what do you hold?" */
export interface GreetingEnvelope {
  readonly kind: 'greeting';
  readonly from: DeviceId;
  readonly serial: number;
  readonly nonce: Uint8Array;
  /** The highest serial that the sender has seen from the recipient. */
  readonly seenSerial: number;
  readonly sessions: readonly Uint8Array[];
  /** Wire versions that the sender understands, ascending. */
  readonly versions: readonly number[];
  readonly signature: Uint8Array;
}

/** "I have no one-time key of yours left." */
export interface RequestEnvelope {
  readonly kind: 'request';
  readonly from: DeviceId;
  readonly serial: number;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
}

/** One-time keys reserved for the recipient; they replace all that it holds. */
export interface AnswerEnvelope {
  readonly kind: 'answer';
  readonly from: DeviceId;
  readonly serial: number;
  /** Of the request, or the first sixteen bytes of the hash of the message whose key was gone. */
  readonly nonce: Uint8Array;
  readonly keys: readonly AgreementKey[];
  readonly signature: Uint8Array;
}

/** "You are no longer a member, and these entries of the membership log say so." */
export interface NoticeEnvelope {
  readonly kind: 'notice';
  readonly from: DeviceId;
  readonly serial: number;
  readonly entries: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** A step of a pairing, under a key that follows from the secret of the invite: see `pairing`. */
export interface PairingEnvelope {
  readonly kind: 'pairing';
  readonly from: DeviceId;
  readonly step: PairingStep;
  /** Which invite. */
  readonly tag: Uint8Array;
  readonly body: Uint8Array;
  /** The whole of it: whoever holds the link makes a pairing's first messages, so nothing is saved here. */
  readonly mac: Uint8Array;
}

/** One to six in the order of the pairing, seven for whoever gives it up. */
export type PairingStep = 1 | 2 | 3 | 4 | 5 | 6 | typeof PAIRING_ABORT;

export type Envelope =
  | SealedEnvelope
  | InitialEnvelope
  | GreetingEnvelope
  | RequestEnvelope
  | AnswerEnvelope
  | NoticeEnvelope
  | PairingEnvelope;
export type EnvelopeKind = Envelope['kind'];

/** An envelope that still lacks its authenticator. */
export type Unsealed = Envelope extends infer E
  ? E extends Envelope
    ? Omit<E, 'mac' | 'signature'>
    : never
  : never;

export type EnvelopeRefusal =
  | 'envelope-empty'
  | 'envelope-unknown-version'
  | 'envelope-unknown-kind'
  | 'envelope-malformed'
  | KeyRefusal
  | CborRefusal;

const CAPS: Caps = { bytes: MAX_ENVELOPE_BYTES, depth: 3, items: 300 };

/**
 * Encodes an envelope. Its authenticator is its last item and covers every byte before its own, where each attachment
 * stands as its SHA-256, in `digests`: what goes to many, or was hashed already, is not gone through again for each.
 * `seal` is handed exactly the bytes that a receiver will check.
 */
export function encodeEnvelope(
  envelope: Unsealed,
  seal: (covered: Uint8Array) => Uint8Array,
  digests: readonly Uint8Array[] = [],
): Uint8Array {
  const length = authenticatorBytes(envelope.kind);
  const packet = unauthenticated(envelope);
  const place = packet.length - length;
  const covered =
    attachedTo(envelope).length === 0 ? packet.subarray(0, place) : withDigests(envelope, digests);
  packet.set(seal(covered), place);
  return packet;
}

/** With zeros in the place of its authenticator. */
function unauthenticated(envelope: Unsealed): Uint8Array {
  const authenticator = new Uint8Array(authenticatorBytes(envelope.kind));
  const packet = encodeWithin([...fields(envelope), authenticator], (length) => ({
    size: length + 1,
    at: 1,
  }));
  packet[0] = WIRE_VERSION;
  return packet;
}

function withDigests(envelope: Unsealed, digests: readonly Uint8Array[]): Uint8Array {
  if (digests.length !== attachedTo(envelope).length) throw new Error('a hash is missing, or is of nothing');
  const packet = unauthenticated({ ...envelope, attached: digests } as Unsealed);
  return packet.subarray(0, packet.length - authenticatorBytes(envelope.kind));
}

function attachedTo(envelope: Unsealed): readonly Uint8Array[] {
  return 'attached' in envelope ? envelope.attached : [];
}

/** What the authenticator of a received envelope has to cover, given the hashes of what is attached. */
export function coveredBytes({ envelope, head }: Opened, digests: readonly Uint8Array[]): Uint8Array {
  return attachedTo(envelope).length === 0 ? head : withDigests(envelope, digests);
}

export function authenticatorBytes(kind: EnvelopeKind): number {
  switch (kind) {
    case 'sealed':
      return MAC_BYTES;
    case 'pairing':
      return PAIRING_MAC_BYTES;
    default:
      return SIGNATURE_BYTES;
  }
}

function fields(envelope: Unsealed): readonly Value[] {
  const head = [KIND[envelope.kind], deviceIdBytes(envelope.from)];
  switch (envelope.kind) {
    case 'sealed':
      return [...head, envelope.counter, envelope.session, envelope.body, envelope.attached];
    case 'initial':
      return [...head, envelope.serial, envelope.session, envelope.body, envelope.attached];
    case 'greeting':
      return [
        ...head,
        envelope.serial,
        envelope.nonce,
        envelope.seenSerial,
        envelope.sessions,
        envelope.versions,
      ];
    case 'request':
      return [...head, envelope.serial, envelope.nonce];
    case 'answer':
      return [...head, envelope.serial, envelope.nonce, envelope.keys];
    case 'notice':
      return [...head, envelope.serial, envelope.entries];
    case 'pairing':
      return [...head, envelope.step, envelope.tag, envelope.body];
  }
}

export interface Opened {
  /** Nothing has checked its authenticator yet. */
  readonly envelope: Envelope;
  /** Every byte before the authenticator's own. */
  readonly head: Uint8Array;
}

export function decodeEnvelope(packet: Uint8Array): Result<Opened, EnvelopeRefusal> {
  if (packet.length === 0) return { refused: 'envelope-empty' };
  if (packet.length > MAX_ENVELOPE_BYTES) return { refused: 'cbor-too-large' };
  if (packet[0] !== WIRE_VERSION) return { refused: 'envelope-unknown-version' };
  const decoded = decode(packet.subarray(1), CAPS);
  if ('refused' in decoded) return decoded;
  if (!Array.isArray(decoded.ok)) return { refused: 'envelope-malformed' };
  const [kind, from, number, ...rest] = decoded.ok as readonly Value[];
  const sender = from instanceof Uint8Array ? deviceIdFromBytes(from) : undefined;
  if (typeof kind !== 'number') return { refused: 'envelope-malformed' };
  if (readers[kind] === undefined) return { refused: 'envelope-unknown-kind' };
  if (sender === undefined || !isCount(number) || number < 1) return { refused: 'envelope-malformed' };
  const read = readers[kind];
  if (read === undefined) return { refused: 'envelope-unknown-kind' };
  const envelope = read(sender, number, rest);
  if ('refused' in envelope) return envelope;
  const head = packet.subarray(0, packet.length - authenticatorBytes(envelope.ok.kind));
  return { ok: { envelope: envelope.ok, head } };
}

type Reader = (from: DeviceId, number: number, rest: readonly Value[]) => Result<Envelope, EnvelopeRefusal>;

const MALFORMED = { refused: 'envelope-malformed' } as const;

const readers: Readonly<Record<number, Reader>> = {
  [KIND.sealed]: (from, counter, rest) => {
    const [session, body, attached, mac] = rest;
    if (rest.length !== 4 || !isBytes(session, TAG_BYTES) || !isBytes(body) || !isBytes(mac, MAC_BYTES)) {
      return MALFORMED;
    }
    if (!isListOf(attached, MAX_ATTACHED, isBytes)) return MALFORMED;
    return { ok: { kind: 'sealed', from, counter, session, body, attached, mac } };
  },
  [KIND.initial]: (from, serial, rest) => {
    const [session, body, attached, signature] = rest;
    if (rest.length !== 4 || !isBytes(session, TAG_BYTES) || !isBytes(body)) return MALFORMED;
    if (!isListOf(attached, MAX_ATTACHED, isBytes) || !isBytes(signature, SIGNATURE_BYTES)) return MALFORMED;
    return { ok: { kind: 'initial', from, serial, session, body, attached, signature } };
  },
  [KIND.greeting]: (from, serial, rest) => {
    const [nonce, seenSerial, sessions, versions, signature] = rest;
    if (rest.length !== 5 || !isBytes(nonce, NONCE_BYTES) || !isCount(seenSerial)) return MALFORMED;
    if (!isListOf(sessions, MAX_TAGS, (tag): tag is Uint8Array => isBytes(tag, TAG_BYTES))) return MALFORMED;
    if (!isListOf(versions, 16, isCount) || versions.length === 0) return MALFORMED;
    if (!isBytes(signature, SIGNATURE_BYTES)) return MALFORMED;
    return { ok: { kind: 'greeting', from, serial, nonce, seenSerial, sessions, versions, signature } };
  },
  [KIND.request]: (from, serial, rest) => {
    const [nonce, signature] = rest;
    if (rest.length !== 2 || !isBytes(nonce, NONCE_BYTES) || !isBytes(signature, SIGNATURE_BYTES)) {
      return MALFORMED;
    }
    return { ok: { kind: 'request', from, serial, nonce, signature } };
  },
  [KIND.answer]: (from, serial, rest) => {
    const [nonce, list, signature] = rest;
    if (rest.length !== 3 || !isBytes(nonce, NONCE_BYTES) || !isBytes(signature, SIGNATURE_BYTES)) {
      return MALFORMED;
    }
    const keys = readKeys(list);
    if ('refused' in keys) return keys;
    return { ok: { kind: 'answer', from, serial, nonce, keys: keys.ok, signature } };
  },
  [KIND.notice]: (from, serial, rest) => {
    const [entries, signature] = rest;
    if (rest.length !== 2 || !isBytes(signature, SIGNATURE_BYTES)) return MALFORMED;
    if (!isListOf(entries, MAX_NOTICE_ENTRIES, isNoticeEntry) || entries.length === 0) return MALFORMED;
    return { ok: { kind: 'notice', from, serial, entries, signature } };
  },
  [KIND.pairing]: (from, step, rest) => {
    const [tag, body, mac] = rest;
    if (rest.length !== 3 || !isPairingStep(step) || !isBytes(tag, TAG_BYTES)) return MALFORMED;
    if (!isBytes(body) || !isBytes(mac, PAIRING_MAC_BYTES)) return MALFORMED;
    return { ok: { kind: 'pairing', from, step, tag, body, mac } };
  },
};

function isPairingStep(step: number): step is PairingStep {
  return step >= 1 && step <= PAIRING_ABORT;
}

function isNoticeEntry(value: Value): value is Uint8Array {
  return isBytes(value) && value.length <= MAX_NOTICE_ENTRY_BYTES;
}

/** One to five different keys, each of them sound. */
export function readKeys(
  list: Value | undefined,
): Result<readonly AgreementKey[], 'envelope-malformed' | KeyRefusal> {
  if (!isListOf(list, MAX_RESERVED_KEYS, isBytes) || list.length === 0) return MALFORMED;
  const keys: AgreementKey[] = [];
  for (const bytes of list) {
    const parsed = parseAgreementKey(bytes);
    if ('refused' in parsed) return parsed;
    if (keys.some((key) => key.every((byte, i) => byte === parsed.ok[i]))) return MALFORMED;
    keys.push(parsed.ok);
  }
  return { ok: keys };
}

export function isBytes(value: Value | undefined, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

export function isCount(value: Value | undefined): value is number {
  return typeof value === 'number' && value >= 0;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isListOf<Item extends Value>(
  value: Value | undefined,
  most: number,
  is: (item: Value) => item is Item,
): value is readonly Item[] {
  return Array.isArray(value) && value.length <= most && value.every((item) => is(item));
}
