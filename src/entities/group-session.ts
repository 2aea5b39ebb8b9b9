/**
 * A group session as a receiver keeps it. The ratchet accepts the same message any number of times, so what was
 * received is remembered here; and a session is pinned to the device that sent its key and to one group.
 */
import type { DeviceId } from './device-id.ts';
import type { Result } from './result.ts';
import { hasSeen, markSeen, nothingSeen, type SeenNumbers } from './seen-numbers.ts';

/** The session's id as the engine gives it, in hexadecimal. */
export type GroupSessionId = string & { readonly __brand: 'group session id' };

/** `all`, or the hexadecimal hash of the entry that made the group. */
export type GroupId = string & { readonly __brand: 'group id' };

export const EVERYBODY = 'all' as GroupId;

export interface ReceivedGroupSession {
  readonly id: GroupSessionId;
  readonly owner: DeviceId;
  readonly group: GroupId;
  readonly firstIndex: number;
  readonly seen: SeenNumbers;
}

/** A key counts only from the device that encrypts with it, and never replaces one that is here. */
export function receiveGroupKey(
  held: ReceivedGroupSession | undefined,
  offered: Omit<ReceivedGroupSession, 'seen'>,
  sender: DeviceId,
): Result<ReceivedGroupSession, 'group-key-foreign' | 'group-key-pinned'> {
  if (offered.owner !== sender) return { refused: 'group-key-foreign' };
  if (held === undefined) return { ok: { ...offered, seen: nothingSeen } };
  if (held.owner !== offered.owner || held.group !== offered.group || held.id !== offered.id) {
    return { refused: 'group-key-pinned' };
  }
  return { ok: { ...held, firstIndex: Math.min(held.firstIndex, offered.firstIndex) } };
}

/** Notes that the message with this index was read. */
export function readGroupMessage(
  session: ReceivedGroupSession,
  sender: DeviceId,
  index: number,
): Result<ReceivedGroupSession, 'group-message-foreign' | 'group-message-replayed'> {
  if (sender !== session.owner) return { refused: 'group-message-foreign' };
  // Numbers that are remembered begin at 1, because 0 means that nothing was seen.
  if (hasSeen(session.seen, index + 1)) return { refused: 'group-message-replayed' };
  return { ok: { ...session, seen: markSeen(session.seen, index + 1) } };
}

export const MESSAGES_BEFORE_ROTATION = 100;
export const DAYS_BEFORE_ROTATION = 7;
const DAY = 86_400_000;

export interface SentGroupSession {
  readonly id: GroupSessionId;
  readonly group: GroupId;
  readonly startedAt: number;
  readonly messages: number;
  /** Who was given the key; nobody else can read what is sent in this session. */
  readonly holders: readonly DeviceId[];
}

/**
 * Whether the next message needs a new session: this one has served long enough, or somebody holds its key who
 * is no longer entitled to what comes next. A clock that went backwards counts as time passed.
 */
export function needsRotation(
  session: SentGroupSession,
  recipients: readonly DeviceId[],
  now: number,
): boolean {
  if (session.messages >= MESSAGES_BEFORE_ROTATION) return true;
  const age = now - session.startedAt;
  if (age < 0 || age >= DAYS_BEFORE_ROTATION * DAY) return true;
  return session.holders.some((holder) => !recipients.includes(holder));
}
