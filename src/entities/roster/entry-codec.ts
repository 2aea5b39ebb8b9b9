/**
 * Entries as bytes: a CBOR array of two byte strings, the encoded content and the signature over its hash. Any
 * bytes decode to an entry or to one refusal, and the answer depends on the bytes alone: every device that
 * runs this version says the same.
 */
import type { Hash } from '../crypto.ts';
import { deriveDeviceId, deviceIdBytes } from '../device-id.ts';
import { type MeshId, meshIdBytes, meshIdFromBytes } from '../mesh-id.ts';
import type { Result } from '../result.ts';
import { type Caps, decode, encode } from '../wire/cbor.ts';
import { type BodyRefusal, decodeBody, encodeBody, kindNumber } from './body-codec.ts';
import {
  type Author,
  type Body,
  type Content,
  ENTRY_MAX_BYTES,
  ENTRY_VERSION,
  type Entry,
  HEADS_MAX,
  hashBytes,
  hashContent,
  KIND_MAX,
  SEQUENCE_MAX,
  SIGNATURE_BYTES,
} from './entry.ts';
import {
  readArray,
  readBytes,
  readDevice,
  readHashes,
  readHashOrNull,
  readNumber,
  writeHashes,
} from './fields.ts';

export type EntryRefusal =
  | BodyRefusal
  | 'entry-too-large'
  | 'entry-version-unknown'
  | 'entry-signer-unknown'
  /** A GENESIS whose author is not the device with the keys in it. */
  | 'entry-author-mismatch'
  /** An ADD, or a REVOKE that is not a LEAVE, of the author. */
  | 'entry-self-target';

const ENVELOPE_CAPS: Caps = { bytes: ENTRY_MAX_BYTES, depth: 1, items: 3 };
const CONTENT_CAPS: Caps = { bytes: ENTRY_MAX_BYTES, depth: 6, items: 1024 };
const SIGNER_DEVICE = 0;
const SIGNER_MAX = 0xff;
const MALFORMED = { refused: 'entry-malformed' } as const;

export function encodeContent(content: Content): Uint8Array {
  return encode([
    ENTRY_VERSION,
    content.mesh === null ? null : meshIdBytes(content.mesh),
    [SIGNER_DEVICE, deviceIdBytes(content.author.id)],
    content.sequence,
    content.previous === null ? null : hashBytes(content.previous),
    writeHashes(content.heads),
    kindNumber(content.body),
    encodeBody(content.body),
    content.createdAt,
  ]);
}

export function encodeEntry(content: Uint8Array, signature: Uint8Array): Uint8Array {
  return encode([content, signature]);
}

export function decodeEntry(hash: Hash, bytes: Uint8Array): Result<Entry, EntryRefusal> {
  if (bytes.length > ENTRY_MAX_BYTES) return { refused: 'entry-too-large' };
  // A copy on every platform: `slice` of Node's subclass would be a view.
  const own = new Uint8Array(bytes);
  const envelope = decode(own, ENVELOPE_CAPS);
  if ('refused' in envelope) return MALFORMED;
  const parts = readArray(envelope.ok, 2);
  const contentBytes = parts?.[0];
  const signature = readBytes(parts?.[1], SIGNATURE_BYTES);
  if (!(contentBytes instanceof Uint8Array) || signature === undefined) return MALFORMED;
  const content = decodeContent(hash, contentBytes);
  if ('refused' in content) return content;
  return { ok: { ...content.ok, hash: hashContent(hash, contentBytes), signature, bytes: own } };
}

function decodeContent(hash: Hash, bytes: Uint8Array): Result<Content, EntryRefusal> {
  const decoded = decode(bytes, CONTENT_CAPS);
  if ('refused' in decoded) return MALFORMED;
  const version = Array.isArray(decoded.ok) ? readNumber(decoded.ok[0], Number.MAX_SAFE_INTEGER) : undefined;
  if (version === undefined) return MALFORMED;
  if (version !== ENTRY_VERSION) return { refused: 'entry-version-unknown' };
  const fields = readArray(decoded.ok, 9);
  if (fields === undefined) return MALFORMED;

  const [, meshField, authorField, sequenceField, previousField, headsField, kindField, bodyField, at] =
    fields;
  const signer = readArray(authorField, 2);
  const signerKind = readNumber(signer?.[0], SIGNER_MAX);
  if (signerKind === undefined) return MALFORMED;
  if (signerKind !== SIGNER_DEVICE) return { refused: 'entry-signer-unknown' };
  const id = readDevice(signer?.[1]);
  const sequence = readNumber(sequenceField, SEQUENCE_MAX);
  const previous = readHashOrNull(previousField);
  const heads = readHashes(headsField, 0, HEADS_MAX);
  const kind = readNumber(kindField, KIND_MAX);
  const createdAt = readNumber(at, Number.MAX_SAFE_INTEGER);
  if (id === undefined || sequence === undefined || previous === undefined || heads === undefined)
    return MALFORMED;
  if (kind === undefined || createdAt === undefined || bodyField === undefined) return MALFORMED;
  if (sequence === 0 || (sequence === 1) !== (previous === null)) return MALFORMED;

  const body = decodeBody(hash, kind, bodyField);
  if ('refused' in body) return body;
  const author: Author = { kind: 'device', id };
  const mesh = readMesh(meshField);
  if (mesh === undefined) return MALFORMED;
  const content: Content = { mesh, author, sequence, previous, heads, body: body.ok, createdAt };
  return checkWhole(hash, content, body.ok);
}

function readMesh(value: unknown): MeshId | null | undefined {
  if (value === null) return null;
  return value instanceof Uint8Array ? meshIdFromBytes(value) : undefined;
}

/** What no single field shows. */
function checkWhole(hash: Hash, content: Content, body: Body): Result<Content, EntryRefusal> {
  if ((content.mesh === null) !== (body.kind === 'genesis')) return MALFORMED;
  if (body.kind === 'genesis') {
    if (content.sequence !== 1 || content.heads.length > 0) return MALFORMED;
    if (deriveDeviceId(hash, body.keys) !== content.author.id) return { refused: 'entry-author-mismatch' };
  }
  const target = body.kind === 'add' ? body.device : body.kind === 'revoke' ? body.target : undefined;
  return target === content.author.id ? { refused: 'entry-self-target' } : { ok: content };
}
