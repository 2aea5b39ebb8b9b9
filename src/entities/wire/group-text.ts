/**
 * What a group session encrypts: one payload with its labels. Whoever holds the key reads it, so it says nothing
 * about any one recipient; that stands in the record of each (see `records`).
 *
 * It begins with sixteen random bytes, for the same reason as a parcel: a device that was put back to an older state
 * may use a key again.
 */
import { equal } from '../bytes.ts';
import type { Result } from '../result.ts';
import { type Caps, type CborRefusal, decode, type Value } from './cbor.ts';
import { isBytes, isCount } from './envelope.ts';
import { MAX_PAYLOAD_BYTES } from './items.ts';
import { encodePadded, unpad } from './padding.ts';
import { isLabel, isLabelOrNull, MESSAGE_ID_BYTES } from './records.ts';

const SALT_BYTES = 16;
const CONTEXT_BYTES = 32;

export interface GroupText {
  /** `groupContext` of owner and circle. */
  readonly context: Uint8Array;
  readonly id: Uint8Array;
  readonly sentAt: number;
  readonly type: string;
  readonly thread: string | null;
  readonly payload: Uint8Array;
}

export type GroupTextRefusal = 'group-text-malformed' | 'group-context-mismatch' | CborRefusal;

const CAPS: Caps = { bytes: MAX_PAYLOAD_BYTES + 4096, depth: 1, items: 16 };

export function encodeGroupText(salt: Uint8Array, text: GroupText): Uint8Array {
  const { context, id, sentAt, type, thread, payload } = text;
  return encodePadded([salt, context, id, sentAt, type, thread, payload]);
}

/** Only a text with this context: from the session's owner, for its circle. */
export function decodeGroupText(
  padded: Uint8Array,
  context: Uint8Array,
): Result<GroupText, GroupTextRefusal> {
  const text = unpad(padded);
  if (text === undefined) return { refused: 'group-text-malformed' };
  const decoded = decode(text, CAPS);
  if ('refused' in decoded) return decoded;
  if (!Array.isArray(decoded.ok) || decoded.ok.length !== 7) return { refused: 'group-text-malformed' };
  const [salt, claimed, id, sentAt, type, thread, payload] = decoded.ok as readonly Value[];
  if (!isBytes(salt, SALT_BYTES) || !isBytes(claimed, CONTEXT_BYTES) || !isBytes(id, MESSAGE_ID_BYTES)) {
    return { refused: 'group-text-malformed' };
  }
  if (!isCount(sentAt) || !isLabel(type) || !isLabelOrNull(thread))
    return { refused: 'group-text-malformed' };
  if (!isBytes(payload) || payload.length > MAX_PAYLOAD_BYTES) return { refused: 'group-text-malformed' };
  if (!equal(claimed, context)) return { refused: 'group-context-mismatch' };
  return { ok: { context: claimed, id, sentAt, type, thread, payload } };
}
