import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/entities/secret.ts';
import {
  addSession,
  MAX_RETIRED,
  MAX_SESSIONS,
  newSession,
  noSessions,
  type PairSession,
  retireAll,
  retireSession,
  type SessionId,
  type SessionSet,
  sessionToSendOn,
  sessionWith,
  standingOf,
  updateSession,
} from '../../src/entities/session-set.ts';

const id = (name: string): SessionId => name as SessionId;
const session = (name: string, begunBy: PairSession['begunBy'] = 'them'): PairSession =>
  newSession(id(name), begunBy, new Secret(new Uint8Array(32)));

describe("the sessions of Alice's laptop with her phone", () => {
  it('offer nothing to send on while there is none', () => {
    expect(sessionToSendOn(noSessions)).toBeUndefined();
  });

  it('are sent on the one that last decrypted', () => {
    let set = addSession(noSessions, session('a'), true);
    set = addSession(set, session('b'), true);
    expect(sessionToSendOn(set)?.id).toBe('b');
    set = updateSession(set, session('a'), true);
    expect(sessionToSendOn(set)?.id).toBe('a');
  });

  it('do not change their order when one of them only sent', () => {
    let set = addSession(addSession(noSessions, session('a'), true), session('b'), true);
    set = updateSession(set, { ...session('a'), sent: 7 }, false);
    expect(sessionToSendOn(set)?.id).toBe('b');
    expect(sessionWith(set, id('a'))?.sent).toBe(7);
  });

  it('are never more than four: the one silent for longest goes, never the one just made', () => {
    let set: SessionSet = noSessions;
    for (const name of ['a', 'b', 'c', 'd']) set = addSession(set, session(name), true);
    const preferred = addSession(set, session('e'), true);
    expect(preferred.sessions.map((held) => held.id)).toEqual(['e', 'd', 'c', 'b']);
    const reserve = addSession(set, session('e', 'us'), false);
    expect(reserve.sessions.map((held) => held.id)).toEqual(['d', 'c', 'b', 'e']);
    expect(reserve.sessions).toHaveLength(MAX_SESSIONS);
    expect(standingOf(reserve, id('a'))).toBe('retired');
  });

  it('tell a session that may begin from one that is live and one that is gone', () => {
    const set = retireSession(
      addSession(addSession(noSessions, session('a'), true), session('b'), true),
      id('a'),
    );
    expect(standingOf(set, id('a'))).toBe('retired');
    expect(standingOf(set, id('b'))).toBe('live');
    expect(standingOf(set, id('c'))).toBe('new');
  });

  it('remember the last retired ids only, in bounded space', () => {
    let set: SessionSet = noSessions;
    for (let i = 0; i < MAX_RETIRED + 10; i++) set = retireSession(set, id(`s${i}`));
    expect(set.retired).toHaveLength(MAX_RETIRED);
    expect(standingOf(set, id(`s${MAX_RETIRED + 9}`))).toBe('retired');
  });

  it('can all be given up at once', () => {
    const set = retireAll(addSession(addSession(noSessions, session('a'), true), session('b'), true));
    expect(set.sessions).toEqual([]);
    expect([...set.retired].sort()).toEqual(['a', 'b']);
  });

  it('count as established from the start only where the other end began them', () => {
    expect(session('a', 'them').established).toBe(true);
    expect(session('a', 'us').established).toBe(false);
  });
});
