/** The records of a batch: what takes up the numbers of a stream. */
import { type Circle, parseCircle } from '../roster/circle.ts';
import type { Value } from './cbor.ts';
import { isBytes, isCount } from './envelope.ts';

export const MESSAGE_ID_BYTES = 16;
export const MAX_TYPE_CHARACTERS = 255;
export const GROUP_SESSION_BYTES = 32;

/** A payload on its way. */
export interface ContentRecord {
  readonly kind: 'content';
  readonly id: Uint8Array;
  readonly sentAt: number;
  readonly type: string;
  readonly thread: string | null;
  /** The circle it was addressed to, or `null` where it was for this device alone. */
  readonly group: Circle | null;
  readonly payload: Uint8Array;
}

/** In the place of a record that was cancelled or expired. */
export interface SkipRecord {
  readonly kind: 'skip';
}

/** A payload that is the same for many: it stands beside the parcel, encrypted in a group session. */
export interface GroupRecord {
  readonly kind: 'group';
  readonly id: Uint8Array;
  /** The id of the group session, which is one of the sender's. */
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
      return [RECORD.group, record.id, record.session, record.digest];
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
    if (!isLabel(type) || !isLabelOrNull(thread)) return undefined;
    const circle = typeof group === 'string' ? parseCircle(group) : null;
    if (circle === undefined || (circle === null && group !== null)) return undefined;
    return { kind: 'content', id, sentAt, type, thread, group: circle, payload };
  }
  if (kind === RECORD.group) {
    const [id, session, digest] = rest;
    if (rest.length !== 3 || !isBytes(id, MESSAGE_ID_BYTES)) return undefined;
    if (!isBytes(session, GROUP_SESSION_BYTES) || !isBytes(digest, 32)) return undefined;
    return { kind: 'group', id, session, digest };
  }
  return { kind: 'unknown', number: kind };
}

export function isLabel(value: Value | undefined): value is string {
  return typeof value === 'string' && value.length <= MAX_TYPE_CHARACTERS;
}

export function isLabelOrNull(value: Value | undefined): value is string | null {
  return value === null || isLabel(value);
}
