/**
 * Looks into Olm and Megolm messages before the engine does. The engine takes any curve point for a key, fields
 * it does not know, and the same field twice; here a message has one encoding, the one that every sender
 * writes, and every key in it is checked like a key from anywhere else.
 *
 * The format is protocol buffers between a version byte and a MAC of fixed size:
 * https://gitlab.matrix.org/matrix-org/olm/-/blob/master/docs/olm.md
 */
import { type AgreementKey, parseAgreementKey, parseSigningKey } from '../../entities/keys.ts';

/** Version 3 is what an Olm session of version 1 and a Megolm session of version 1 write. */
const VERSION = 3;
const OLM_MAC_BYTES = 8;
const MEGOLM_TRAILER_BYTES = 8 + 64;

type FieldType = 'bytes' | 'number';
type Layout = readonly (readonly [number: number, type: FieldType])[];

const PRE_KEY_MESSAGE: Layout = [
  [1, 'bytes'], // one-time key
  [2, 'bytes'], // base key
  [3, 'bytes'], // identity key
  [4, 'bytes'], // the first message
];
const OLM_MESSAGE: Layout = [
  [1, 'bytes'], // ratchet key
  [2, 'number'], // chain index
  [4, 'bytes'], // ciphertext
];
const MEGOLM_MESSAGE: Layout = [
  [1, 'number'], // message index
  [2, 'bytes'], // ciphertext
];

/** What a message of type 0 shows to all: who sends it, and which one-time key it uses. */
export interface PreKeyMessage {
  readonly sender: AgreementKey;
  readonly oneTimeKey: AgreementKey;
}

/** `undefined` refuses the message: its form, or a key in it. */
export function readPreKeyMessage(body: Uint8Array): PreKeyMessage | undefined {
  const [oneTimeKey, baseKey, sender, message] = readFields(body, PRE_KEY_MESSAGE, 0) ?? [];
  if (message === undefined || !checkOlmMessage(message)) return undefined;
  const [ofReceiver, ofSession, ofSender] = [oneTimeKey, baseKey, sender].map(soundKey);
  if (ofReceiver === undefined || ofSession === undefined || ofSender === undefined) return undefined;
  return { sender: ofSender, oneTimeKey: ofReceiver };
}

function soundKey(bytes: Uint8Array | undefined): AgreementKey | undefined {
  if (bytes === undefined) return undefined;
  const parsed = parseAgreementKey(bytes);
  return 'ok' in parsed ? parsed.ok : undefined;
}

export function checkOlmMessage(body: Uint8Array): boolean {
  const ratchetKey = readFields(body, OLM_MESSAGE, OLM_MAC_BYTES)?.[0];
  return soundKey(ratchetKey) !== undefined;
}

export function checkMegolmMessage(body: Uint8Array): boolean {
  return readFields(body, MEGOLM_MESSAGE, MEGOLM_TRAILER_BYTES) !== undefined;
}

/** Version byte, message index, ratchet, the session's own Ed25519 key, and in a shared key its signature. */
const SIGNING_KEY_AT = 1 + 4 + 128;
const EXPORTED_KEY_BYTES = SIGNING_KEY_AT + 32;
const SHARED_KEY_BYTES = EXPORTED_KEY_BYTES + 64;

export function checkSharedKey(key: Uint8Array): boolean {
  return key[0] === 2 && key.length === SHARED_KEY_BYTES && hasSoundSigningKey(key);
}

export function checkExportedKey(key: Uint8Array): boolean {
  return key[0] === 1 && key.length === EXPORTED_KEY_BYTES && hasSoundSigningKey(key);
}

function hasSoundSigningKey(key: Uint8Array): boolean {
  return 'ok' in parseSigningKey(key.subarray(SIGNING_KEY_AT, EXPORTED_KEY_BYTES));
}

/**
 * The fields in the layout's order, each exactly once and nothing else, up to the trailer. A number's place
 * holds the bytes that encode it.
 */
function readFields(body: Uint8Array, layout: Layout, trailer: number): readonly Uint8Array[] | undefined {
  if (body[0] !== VERSION) return undefined;
  const end = body.length - trailer;
  const fields: Uint8Array[] = [];
  let at = 1;
  for (const [number, type] of layout) {
    if (at >= end || body[at] !== ((number << 3) | (type === 'bytes' ? 2 : 0))) return undefined;
    const varint = readVarint(body, at + 1, end);
    if (varint === undefined) return undefined;
    const start = type === 'bytes' ? varint.next : at + 1;
    at = type === 'bytes' ? varint.next + varint.value : varint.next;
    if (at > end) return undefined;
    fields.push(body.subarray(start, at));
  }
  return at === end ? fields : undefined;
}

/** Indexes and lengths have 32 bits at most, in as few bytes as they need. */
function readVarint(
  body: Uint8Array,
  start: number,
  end: number,
): { readonly value: number; readonly next: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let at = start; at < end && at < start + 5; at++) {
    const byte = body[at] ?? 0;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte < 0x80) {
      const minimal = byte !== 0 || at === start;
      return minimal && value <= 0xffff_ffff ? { value, next: at + 1 } : undefined;
    }
  }
  return undefined;
}
