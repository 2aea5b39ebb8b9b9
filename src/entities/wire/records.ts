/** The records of a batch: what takes up the numbers of a stream. */
import type { Value } from './cbor.ts';
import { isBytes, isCount } from './envelope.ts';

export const MESSAGE_ID_BYTES = 16;
export const MAX_TYPE_CHARACTERS = 255;

/** A payload on its way. */
export interface ContentRecord {
  readonly kind: 'content';
  readonly id: Uint8Array;
  readonly sentAt: number;
  readonly type: string;
  readonly thread: string | null;
  /** The group it was addressed to, or `null` where it was for this device alone. */
  readonly group: string | null;
  readonly payload: Uint8Array;
}

/** In the place of a record that was cancelled or expired. */
export interface SkipRecord {
  readonly kind: 'skip';
}

/** A payload that is the same for many: it stands beside the parcel, under the group's ratchet. */
export interface GroupRecord {
  readonly kind: 'group';
  readonly id: Uint8Array;
  readonly sentAt: number;
  readonly group: string;
  /** The group session's id. */
  readonly session: Uint8Array;
  /** The hash of the ciphertext, which is one of those attached. */
  readonly digest: Uint8Array;
}

/** A kind that this version does not know. Its number in the stream is used up all the same. */
export interface UnknownRecord {
  readonly kind: 'unknown';
  readonly number: number;
}

export type StreamRecord = ContentRecord | SkipRecord | GroupRecord | UnknownRecord;

const RECORD = { skip: 0, content: 1, group: 2 } as const;

export function recordFields(record: StreamRecord): readonly Value[] {
  switch (record.kind) {
    case 'skip':
      return [RECORD.skip];
    case 'content':
      return [
        RECORD.content,
        record.id,
        record.sentAt,
        record.type,
        record.thread,
        record.group,
        record.payload,
      ];
    case 'group':
      return [RECORD.group, record.id, record.sentAt, record.group, record.session, record.digest];
    case 'unknown':
      throw new Error('a record of an unknown kind is never sent');
  }
}

/** `undefined` where it is not a record at all; one of an unknown kind is one. */
export function readRecord(raw: readonly Value[]): StreamRecord | undefined {
  const [kind, ...rest] = raw;
  if (!isCount(kind)) return undefined;
  if (kind === RECORD.skip) return rest.length === 0 ? { kind: 'skip' } : undefined;
  if (kind === RECORD.content) {
    const [id, sentAt, type, thread, group, payload] = rest;
    if (rest.length !== 6 || !isBytes(id, MESSAGE_ID_BYTES) || !isCount(sentAt) || !isBytes(payload))
      return undefined;
    if (!isLabel(type) || !isLabelOrNull(thread) || !isLabelOrNull(group)) return undefined;
    return { kind: 'content', id, sentAt, type, thread, group, payload };
  }
  if (kind === RECORD.group) {
    const [id, sentAt, group, session, digest] = rest;
    if (rest.length !== 5 || !isBytes(id, MESSAGE_ID_BYTES) || !isCount(sentAt) || !isLabel(group))
      return undefined;
    if (!isBytes(session, 32) || !isBytes(digest, 32)) return undefined;
    return { kind: 'group', id, sentAt, group, session, digest };
  }
  return { kind: 'unknown', number: kind };
}

function isLabel(value: Value | undefined): value is string {
  return typeof value === 'string' && value.length <= MAX_TYPE_CHARACTERS;
}

function isLabelOrNull(value: Value | undefined): value is string | null {
  return value === null || isLabel(value);
}
