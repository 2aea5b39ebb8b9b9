/**
 * The parcel: what stands inside the encryption. A parcel carries a list of items, so that whatever is due to
 * a device goes out together: new records, an acknowledgement, fresh one-time keys.
 *
 * A parcel up to `LARGEST_INSIDE` is encrypted by the ratchet itself. A larger one goes beside it, under a fresh
 * key that the ratchet carries, because the platform's cipher is many times faster than the ratchet's.
 *
 * Every text that a ratchet encrypts begins with sixteen random bytes. Should a device, restored from a backup,
 * use a ratchet's key a second time, the two ciphertexts still have nothing in common (they are chained blocks).
 */
import type { Result } from '../result.ts';
import { type Caps, type CborRefusal, decode, encode, type Value } from './cbor.ts';
import { isBytes, isListOf } from './envelope.ts';
import { type Item, type ItemRefusal, itemFields, readItem } from './items.ts';
import { encodePadded, unpad } from './padding.ts';

export const LARGEST_INSIDE = 4096;
export const SALT_BYTES = 16;
const CONTEXT_BYTES = 32;
const DIGEST_BYTES = 32;
const SECRET_BYTES = 32;
const MAX_ITEMS = 16;

export interface Parcel {
  /** `pairContext` of sender and recipient. */
  readonly context: Uint8Array;
  /** Digest of the sender's roster. */
  readonly roster: Uint8Array;
  /** The session's secret, in every message that begins it, and only there. */
  readonly secret: Uint8Array | null;
  readonly items: readonly Item[];
}

export type ParcelRefusal = 'parcel-malformed' | 'parcel-padding' | ItemRefusal | CborRefusal;

const CAPS: Caps = { bytes: 150 * 1024, depth: 6, items: 20_000 };

export function encodeParcel(parcel: Parcel): Uint8Array {
  return encodePadded([parcel.context, parcel.roster, parcel.secret, parcel.items.map(itemFields)]);
}

export function decodeParcel(padded: Uint8Array): Result<Parcel, ParcelRefusal> {
  const text = unpad(padded);
  if (text === undefined) return { refused: 'parcel-padding' };
  const decoded = decode(text, CAPS);
  if ('refused' in decoded) return decoded;
  if (!Array.isArray(decoded.ok) || decoded.ok.length !== 4) return { refused: 'parcel-malformed' };
  const [context, roster, secret, list] = decoded.ok as readonly Value[];
  if (!isBytes(context, CONTEXT_BYTES) || !isBytes(roster, DIGEST_BYTES))
    return { refused: 'parcel-malformed' };
  if (secret !== null && !isBytes(secret, SECRET_BYTES)) return { refused: 'parcel-malformed' };
  if (!isListOf(list, MAX_ITEMS, (item): item is readonly Value[] => Array.isArray(item))) {
    return { refused: 'parcel-malformed' };
  }
  const items: Item[] = [];
  for (const raw of list) {
    const item = readItem(raw);
    if ('refused' in item) return item;
    items.push(item.ok);
  }
  return { ok: { context, roster, secret: secret ?? null, items } };
}

/** What the ratchet encrypts: a salt, then the parcel itself, or the key and hash of what goes beside it. */
export type Core =
  | { readonly inside: Uint8Array }
  | { readonly key: Uint8Array; readonly digest: Uint8Array; readonly context: Uint8Array };

export function encodeCore(salt: Uint8Array, core: Core): Uint8Array {
  return encode('inside' in core ? [salt, core.inside] : [salt, core.key, core.digest, core.context]);
}

export function decodeCore(text: Uint8Array): Result<Core, 'parcel-malformed' | CborRefusal> {
  const decoded = decode(text, { bytes: LARGEST_INSIDE + 64, depth: 1, items: 8 });
  if ('refused' in decoded) return decoded;
  if (!Array.isArray(decoded.ok)) return { refused: 'parcel-malformed' };
  const [salt, first, digest, context, ...rest] = decoded.ok as readonly Value[];
  if (!isBytes(salt, SALT_BYTES) || rest.length > 0) return { refused: 'parcel-malformed' };
  if (digest === undefined && context === undefined) {
    return isBytes(first) ? { ok: { inside: first } } : { refused: 'parcel-malformed' };
  }
  if (!isBytes(first, SECRET_BYTES) || !isBytes(digest, DIGEST_BYTES) || !isBytes(context, CONTEXT_BYTES)) {
    return { refused: 'parcel-malformed' };
  }
  return { ok: { key: first, digest, context } };
}
