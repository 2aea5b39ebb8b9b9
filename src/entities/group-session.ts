/**
 * A group session: the ratchet under which one device encrypts for a circle of others, once for all of them. Its
 * key goes to each of them inside their pair's session. A session belongs to the device that sent its key and to one
 * circle, and is named by both its owner and its id: whoever offers a key for another's session offers a key that
 * nobody will look for.
 */
import { type Hash, labelledHash } from './crypto.ts';
import { type DeviceId, deviceIdBytes } from './device-id.ts';
import { type MeshId, meshIdBytes } from './mesh-id.ts';
import type { Result } from './result.ts';
import type { Circle } from './roster/circle.ts';
import { hasSeen, markSeen, nothingSeen, type SeenNumbers } from './seen-numbers.ts';
import { utf8 } from './text.ts';
import { WIRE_VERSION } from './wire/envelope.ts';

/** The session's id as the engine gives it, in hexadecimal. */
export type GroupSessionId = string & { readonly __brand: 'group session id' };

/** A group session as a receiver keeps it. */
export interface ReceivedGroupSession {
  readonly id: GroupSessionId;
  readonly owner: DeviceId;
  readonly circle: Circle;
  /** The first index that the key reads. */
  readonly firstIndex: number;
  /** The ratchet accepts the same message any number of times, so what was received is remembered here. */
  readonly seen: SeenNumbers;
}

/**
 * A key counts from the device that encrypts with it, for the circle that it was first given for. Where one is here
 * already, another of the same session is only good for what is older: what was seen stays seen.
 */
export function receiveGroupKey(
  held: ReceivedGroupSession | undefined,
  offered: Omit<ReceivedGroupSession, 'seen'>,
): Result<ReceivedGroupSession, 'group-key-pinned' | 'group-key-known'> {
  if (held === undefined) return { ok: { ...offered, seen: nothingSeen } };
  if (held.owner !== offered.owner || held.circle !== offered.circle || held.id !== offered.id) {
    return { refused: 'group-key-pinned' };
  }
  if (held.firstIndex <= offered.firstIndex) return { refused: 'group-key-known' };
  return { ok: { ...held, firstIndex: offered.firstIndex } };
}

/** Notes that the message with this index was read. */
export function readGroupMessage(
  session: ReceivedGroupSession,
  index: number,
): Result<ReceivedGroupSession, 'group-message-replayed'> {
  // Numbers that are remembered begin at 1, because 0 means that nothing was seen.
  if (hasSeen(session.seen, index + 1)) return { refused: 'group-message-replayed' };
  return { ok: { ...session, seen: markSeen(session.seen, index + 1) } };
}

export const MESSAGES_BEFORE_ROTATION = 100;
export const DAYS_BEFORE_ROTATION = 7;
const DAY = 86_400_000;
/** What was received in a session that is no longer used can still be on its way for so long. */
export const REPLACED_KEPT = 7 * DAY;

/** A group session as its owner keeps it. */
export interface SentGroupSession {
  readonly id: GroupSessionId;
  readonly circle: Circle;
  readonly startedAt: number;
  readonly messages: number;
  /** Who was given the key, from which index on; nobody else can read what is sent in this session. */
  readonly holders: ReadonlyMap<DeviceId, Holder>;
}

export interface Holder {
  readonly from: number;
  /** It has acknowledged a message of this session, so it has the key. */
  readonly confirmed: boolean;
}

/** Whether this one has served long enough. A clock that went backwards counts as time passed. */
export function hasServed(session: Pick<SentGroupSession, 'messages' | 'startedAt'>, now: number): boolean {
  if (session.messages >= MESSAGES_BEFORE_ROTATION) return true;
  const age = now - session.startedAt;
  return age < 0 || age >= DAYS_BEFORE_ROTATION * DAY;
}

/**
 * Whether other devices are in a circle than before, which ends its sessions: so each has the same recipients from
 * its first message to its last. Whoever left must not read what comes next; and whoever came, and is owed something
 * from before, must not read what was said in between.
 */
export function isOther(before: ReadonlySet<DeviceId>, now: ReadonlySet<DeviceId>): boolean {
  return before.size !== now.size || [...before].some((device) => !now.has(device));
}

/** Stands in every text that is encrypted in a group session: it is from this device, for this circle of this mesh. */
export function groupContext(hash: Hash, mesh: MeshId, owner: DeviceId, circle: Circle): Uint8Array {
  const parts = [Uint8Array.of(WIRE_VERSION), meshIdBytes(mesh), deviceIdBytes(owner), utf8(circle)];
  return labelledHash(hash, 'group context v1', ...parts);
}
