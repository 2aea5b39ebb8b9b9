/**
 * The sessions that a pair of devices holds in common, as one of them sees it: which one to send on, which ones
 * to keep, which ids never to accept again. Plain data and rules; the ratchets themselves are kept elsewhere,
 * under the same ids.
 */
import type { Secret } from './secret.ts';
import { nothingSeen, type SeenNumbers } from './seen-numbers.ts';

/** The session's id as the engine gives it, in hexadecimal. */
export type SessionId = string & { readonly __brand: 'session id' };

export interface PairSession {
  readonly id: SessionId;
  /** Who began it. The one who did sends messages that begin it until the other has answered. */
  readonly begunBy: 'us' | 'them';
  /** 32 bytes that the beginner chose; the keys that authenticate envelopes come from it. */
  readonly secret: Secret;
  readonly established: boolean;
  /** The counter of the last envelope that was sent in it. */
  readonly sent: number;
  readonly seen: SeenNumbers;
}

export interface SessionSet {
  /** In the order of preference: the one that last decrypted first. */
  readonly sessions: readonly PairSession[];
  /** Ids of sessions that are gone, the newest first. A message that would begin one of them again is refused. */
  readonly retired: readonly SessionId[];
}

export const MAX_SESSIONS = 4;
export const MAX_RETIRED = 256;

export const noSessions: SessionSet = { sessions: [], retired: [] };

/** The session to send on: the one that last decrypted, else the newest. */
export function sessionToSendOn(set: SessionSet): PairSession | undefined {
  return set.sessions[0];
}

export function sessionWith(set: SessionSet, id: SessionId): PairSession | undefined {
  return set.sessions.find((session) => session.id === id);
}

export type SessionStanding = 'live' | 'retired' | 'new';

/** Whether a message that begins a session may still do so. */
export function standingOf(set: SessionSet, id: SessionId): SessionStanding {
  if (sessionWith(set, id) !== undefined) return 'live';
  return set.retired.includes(id) ? 'retired' : 'new';
}

export function newSession(id: SessionId, begunBy: PairSession['begunBy'], secret: Secret): PairSession {
  return { id, begunBy, secret, established: begunBy === 'them', sent: 0, seen: nothingSeen };
}

/**
 * Adds a session. One that they began has just decrypted and comes first; one of ours comes first only where
 * nothing else can be sent on. Where there are too many, the one that has been silent longest is retired.
 */
export function addSession(set: SessionSet, session: PairSession, preferred: boolean): SessionSet {
  const sessions = preferred ? [session, ...set.sessions] : [...set.sessions, session];
  if (sessions.length <= MAX_SESSIONS) return { ...set, sessions };
  const oldest = sessions.findLast((candidate) => candidate.id !== session.id);
  return oldest === undefined ? { ...set, sessions } : retireSession({ ...set, sessions }, oldest.id);
}

/** The session with this id has changed; where it `decrypted`, it is now the one to send on. */
export function updateSession(set: SessionSet, session: PairSession, decrypted: boolean): SessionSet {
  if (!decrypted) {
    const sessions = set.sessions.map((held) => (held.id === session.id ? session : held));
    return { ...set, sessions };
  }
  const others = set.sessions.filter((held) => held.id !== session.id);
  return { ...set, sessions: [session, ...others] };
}

export function retireSession(set: SessionSet, id: SessionId): SessionSet {
  return {
    sessions: set.sessions.filter((session) => session.id !== id),
    retired: [id, ...set.retired.filter((held) => held !== id)].slice(0, MAX_RETIRED),
  };
}

export function retireAll(set: SessionSet): SessionSet {
  return set.sessions.reduce((left, session) => retireSession(left, session.id), set);
}
