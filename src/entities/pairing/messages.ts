/**
 * What the two say to each other inside their Olm session, and its bytes: one deterministic CBOR array each,
 * padded like everything else. The first number is the step, so that no message is taken for another one.
 */
import { concat } from '../bytes.ts';
import { type Hash, labelledHash } from '../crypto.ts';
import { type DeviceId, deviceIdBytes } from '../device-id.ts';
import { type DeviceName, parseDeviceName } from '../device-name.ts';
import {
  type AgreementKey,
  type DeviceKeys,
  KEY_BYTES,
  type KeyRefusal,
  parseAgreementKey,
  parseDeviceKeys,
} from '../keys.ts';
import { type MeshId, meshIdBytes, meshIdFromBytes } from '../mesh-id.ts';
import type { Result } from '../result.ts';
import { ENTRY_MAX_BYTES } from '../roster/entry.ts';
import type { Signable } from '../roster/signing.ts';
import { Secret } from '../secret.ts';
import { fromUtf8, utf8 } from '../text.ts';
import { type Caps, type CborRefusal, decode, encode, type Value } from '../wire/cbor.ts';
import { isBytes, isCount, isListOf, readKeys, SIGNATURE_BYTES } from '../wire/envelope.ts';
import { pad, unpad } from '../wire/padding.ts';
import { PAIRING_NONCE_BYTES } from './transcript.ts';

/** The newcomer says who it is, and binds itself to its nonce. */
export interface FirstMessage {
  readonly step: 1;
  /** Versions of the pairing that it understands, ascending. */
  readonly versions: readonly number[];
  readonly keys: DeviceKeys;
  readonly name: DeviceName;
  readonly commitment: Uint8Array;
  /** `linkHash`: both have the same link before them. */
  readonly link: Uint8Array;
  readonly signature: Uint8Array;
}

/** The inviter answers, and says which mesh it is. */
export interface SecondMessage {
  readonly step: 2;
  readonly version: number;
  readonly nonce: Uint8Array;
  /** `firstMessageHash`. */
  readonly first: Uint8Array;
  readonly mesh: MeshId;
}

/** The newcomer opens its commitment. */
export interface ThirdMessage {
  readonly step: 3;
  readonly nonce: Uint8Array;
}

/** The code was typed: a part of the membership log. */
export interface FourthMessage {
  readonly step: 4;
  readonly index: number;
  readonly total: number;
  /** `approvalProof`. */
  readonly proof: Uint8Array;
  /** As they are; whoever receives them decodes each. */
  readonly entries: readonly Uint8Array[];
}

/** The newcomer wants to be added. */
export interface FifthMessage {
  readonly step: 5;
  readonly consent: Uint8Array;
  /** One-time keys of its own, reserved for the inviter. */
  readonly keys: readonly AgreementKey[];
}

/** It was: what has been added to the log since the fourth message, in parts as well. */
export interface SixthMessage {
  readonly step: 6;
  readonly index: number;
  readonly total: number;
  readonly entries: readonly Uint8Array[];
  readonly keys: readonly AgreementKey[];
  /** For the broker inside the inviter's daemon. */
  readonly login: { readonly name: string; readonly password: Secret } | undefined;
}

export type PairingMessage =
  | FirstMessage
  | SecondMessage
  | ThirdMessage
  | FourthMessage
  | FifthMessage
  | SixthMessage;

export type MessageOf<Step extends PairingMessage['step']> = Extract<PairingMessage, { readonly step: Step }>;

export type MessageRefusal = 'pairing-malformed' | 'parcel-padding' | KeyRefusal | CborRefusal;

export const MAX_PART_BYTES = 48 * 1024;
export const MAX_PARTS = 1024;
const MAX_PART_ENTRIES = 512;
const MAX_VERSIONS = 16;
const MAX_NAME_BYTES = 256;
const MAX_LOGIN_BYTES = 256;
const CAPS: Caps = { bytes: MAX_PART_BYTES + 8 * 1024, depth: 2, items: MAX_PART_ENTRIES + 32 };

const MALFORMED = { refused: 'pairing-malformed' } as const;

export function encodeMessage(message: PairingMessage): Uint8Array {
  return encode(fields(message));
}

function fields(message: PairingMessage): readonly Value[] {
  switch (message.step) {
    case 1:
      return [...bundle(message), message.signature];
    case 2:
      return [2, message.version, message.nonce, message.first, meshIdBytes(message.mesh)];
    case 3:
      return [3, message.nonce];
    case 4:
      return [4, message.index, message.total, message.proof, message.entries];
    case 5:
      return [5, message.consent, message.keys];
    case 6: {
      const { login } = message;
      const given = login === undefined ? null : [utf8(login.name), login.password.expose()];
      return [6, message.index, message.total, message.entries, message.keys, given];
    }
  }
}

/** Everything of the first message but its signature. */
export type Bundle = Omit<FirstMessage, 'signature'>;

function bundle({ versions, keys, name, commitment, link }: Bundle): readonly Value[] {
  return [1, versions, keys.signing, keys.agreement, utf8(name), commitment, link];
}

/** What the newcomer signs of itself, for this inviter and no other. */
export function bundleSignable(hash: Hash, inviter: DeviceId, of: Bundle): Signable {
  const label = 'pairing bundle v1';
  return { label, digest: labelledHash(hash, label, deviceIdBytes(inviter), encode(bundle(of))) };
}

/** The plaintext of a padded message of this step, read strictly; every other step is refused. */
export function decodeMessage<Step extends PairingMessage['step']>(
  step: Step,
  text: Uint8Array,
): Result<MessageOf<Step>, MessageRefusal> {
  const value = decode(text, CAPS);
  if ('refused' in value) return value;
  if (!Array.isArray(value.ok)) return MALFORMED;
  const [number, ...rest] = value.ok as readonly Value[];
  if (number !== step) return MALFORMED;
  return readers[step](rest) as Result<MessageOf<Step>, MessageRefusal>;
}

type Reader = (rest: readonly Value[]) => Result<PairingMessage, MessageRefusal>;

const readers: Readonly<Record<PairingMessage['step'], Reader>> = {
  1: (rest) => {
    const [versions, signing, agreement, nameBytes, commitment, link, signature] = rest;
    if (rest.length !== 7 || !isListOf(versions, MAX_VERSIONS, isCount) || versions.length === 0) {
      return MALFORMED;
    }
    if (!isBytes(signing) || !isBytes(agreement) || !isBytes(commitment, 32) || !isBytes(link, 32)) {
      return MALFORMED;
    }
    const name = readName(nameBytes);
    if (name === undefined || !isBytes(signature, SIGNATURE_BYTES)) return MALFORMED;
    const keys = parseDeviceKeys(signing, agreement);
    if ('refused' in keys) return keys;
    return { ok: { step: 1, versions, keys: keys.ok, name, commitment, link, signature } };
  },
  2: (rest) => {
    const [version, nonce, first, meshBytes] = rest;
    if (rest.length !== 4 || !isCount(version) || !isBytes(nonce, PAIRING_NONCE_BYTES)) return MALFORMED;
    const mesh = isBytes(meshBytes) ? meshIdFromBytes(meshBytes) : undefined;
    if (!isBytes(first, 32) || mesh === undefined) return MALFORMED;
    return { ok: { step: 2, version, nonce, first, mesh } };
  },
  3: (rest) => {
    const [nonce] = rest;
    if (rest.length !== 1 || !isBytes(nonce, PAIRING_NONCE_BYTES)) return MALFORMED;
    return { ok: { step: 3, nonce } };
  },
  4: (rest) => {
    const [index, total, proof, entries] = rest;
    if (rest.length !== 4 || !isPart(index, total) || !isBytes(proof, 32) || !isEntries(entries)) {
      return MALFORMED;
    }
    return { ok: { step: 4, index: index as number, total: total as number, proof, entries } };
  },
  5: (rest) => {
    const [consent, list] = rest;
    if (rest.length !== 2 || !isBytes(consent, SIGNATURE_BYTES)) return MALFORMED;
    const keys = readReserved(list);
    return 'refused' in keys ? keys : { ok: { step: 5, consent, keys: keys.ok } };
  },
  6: (rest) => {
    const [index, total, entries, list, given] = rest;
    if (rest.length !== 5 || !isPart(index, total) || !isEntries(entries)) return MALFORMED;
    const keys = readReserved(list);
    if ('refused' in keys) return keys;
    const login = given === null ? undefined : readLogin(given);
    if (given !== null && login === undefined) return MALFORMED;
    return {
      ok: { step: 6, index: index as number, total: total as number, entries, keys: keys.ok, login },
    };
  },
};

/** Unpadded and padded, as the ratchet gets it. */
export function padMessage(text: Uint8Array): Uint8Array {
  return pad(text);
}

export function unpadMessage(padded: Uint8Array): Result<Uint8Array, 'parcel-padding'> {
  const text = unpad(padded);
  return text === undefined ? { refused: 'parcel-padding' } : { ok: text };
}

/**
 * The body of the first envelope: the key under which the session is begun, which the Olm message shows anyway,
 * and that message.
 */
export function encodeOpening(agreement: AgreementKey, olm: Uint8Array): Uint8Array {
  return concat(agreement, olm);
}

export function decodeOpening(
  body: Uint8Array,
): Result<{ readonly agreement: AgreementKey; readonly olm: Uint8Array }, KeyRefusal> {
  const agreement = parseAgreementKey(body.subarray(0, KEY_BYTES));
  if ('refused' in agreement) return agreement;
  return { ok: { agreement: agreement.ok, olm: body.subarray(KEY_BYTES) } };
}

/** Parts of entries that each fit into one message; at least one, even of nothing. */
export function partsOf(entries: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const parts: Uint8Array[][] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    const last = parts.at(-1) ?? [];
    if (last.length > 0 && (bytes + entry.length > MAX_PART_BYTES || last.length === MAX_PART_ENTRIES)) {
      parts.push([entry]);
      bytes = entry.length;
    } else {
      last.push(entry);
      bytes += entry.length;
    }
  }
  return parts;
}

/** Names come in the one form in which they are shown. */
function readName(bytes: Value | undefined): DeviceName | undefined {
  if (!isBytes(bytes) || bytes.length > MAX_NAME_BYTES) return undefined;
  const text = fromUtf8(bytes);
  const name = text === undefined ? undefined : parseDeviceName(text);
  return name !== undefined && 'ok' in name && name.ok === text ? name.ok : undefined;
}

function isPart(index: Value | undefined, total: Value | undefined): boolean {
  return isCount(index) && isCount(total) && total <= MAX_PARTS && index < total;
}

function isEntries(list: Value | undefined): list is readonly Uint8Array[] {
  return isListOf(
    list,
    MAX_PART_ENTRIES,
    (entry): entry is Uint8Array => isBytes(entry) && entry.length <= ENTRY_MAX_BYTES,
  );
}

function readReserved(list: Value | undefined): Result<readonly AgreementKey[], MessageRefusal> {
  const keys = readKeys(list);
  if ('ok' in keys) return keys;
  return keys.refused === 'envelope-malformed' ? MALFORMED : { refused: keys.refused };
}

function readLogin(given: Value | undefined): SixthMessage['login'] {
  if (!isListOf(given, 2, isBytes) || given.length !== 2) return undefined;
  const [nameBytes, password] = given;
  if (nameBytes === undefined || password === undefined) return undefined;
  const name = readLoginText(nameBytes);
  return name === undefined || readLoginText(password) === undefined
    ? undefined
    : { name, password: new Secret(password) };
}

function readLoginText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > MAX_LOGIN_BYTES) return undefined;
  const text = fromUtf8(bytes);
  return text === undefined || /\p{Cc}|^\uFEFF/u.test(text) ? undefined : text;
}
