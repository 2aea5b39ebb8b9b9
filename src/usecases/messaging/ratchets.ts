/**
 * The ratchets of all pairs: kept unpickled while they are in use, pickled once per commit, and given back to
 * the engine's memory when others need the room.
 */
import type { Secret } from '../../entities/secret.ts';
import type { SessionId } from '../../entities/session-set.ts';
import type { CommitCycle } from '../commit-cycle.ts';
import type { Engine, Pickle, Session } from '../ports/engine.ts';

const MAX_LIVE = 64;

interface Held {
  pickle: Pickle | undefined;
  live: Session | undefined;
  dirty: boolean;
}

export interface Ratchets {
  /** Takes over a session that has just begun. */
  adopt(id: SessionId, session: Session): void;
  /** The session, unpickled. Throws where there is none: the caller's session set says which there are. */
  live(id: SessionId): Session;
  /** The session was used: it goes into the next commit. */
  used(id: SessionId): void;
  /**
   * The session refused a message and may have changed. It is taken from its last pickle again, unless it was
   * used since: then going back would use keys a second time, and what it may have lost is made good by a new
   * session.
   */
  refused(id: SessionId): void;
  drop(id: SessionId): void;
  dispose(): void;
}

export function createRatchets(
  engine: Engine,
  pickleKey: Secret,
  cycle: CommitCycle,
  stored: ReadonlyMap<SessionId, Pickle>,
): Ratchets {
  const held = new Map<SessionId, Held>();
  for (const [id, pickle] of stored) held.set(id, { pickle, live: undefined, dirty: false });

  function get(id: SessionId): Held {
    const entry = held.get(id);
    if (entry === undefined) throw new Error('a session without a ratchet');
    return entry;
  }

  /** Lets go of those that were not used for longest, never of the one that is wanted now. */
  function makeRoom(wanted: SessionId): void {
    let live = 0;
    for (const entry of held.values()) if (entry.live !== undefined) live++;
    for (const [id, entry] of held) {
      if (live <= MAX_LIVE) return;
      if (id === wanted || entry.live === undefined || entry.dirty) continue;
      entry.live.dispose();
      entry.live = undefined;
      live--;
    }
  }

  function used(id: SessionId): void {
    const entry = get(id);
    entry.dirty = true;
    cycle.change('ratchet', id, () => {
      if (entry.live === undefined) throw new Error('a ratchet was let go of before it was written');
      entry.pickle = entry.live.pickle(pickleKey);
      entry.dirty = false;
      return entry.pickle;
    });
  }

  return {
    adopt(id, session) {
      held.set(id, { pickle: undefined, live: session, dirty: true });
      used(id);
      makeRoom(id);
    },
    live(id) {
      const entry = get(id);
      if (entry.live === undefined) {
        if (entry.pickle === undefined) throw new Error('a ratchet that is neither in memory nor stored');
        entry.live = engine.restoreSession(entry.pickle, pickleKey);
      }
      // To the end of the order in which room is made.
      held.delete(id);
      held.set(id, entry);
      makeRoom(id);
      return entry.live;
    },
    used,
    refused(id) {
      const entry = get(id);
      if (entry.dirty || entry.pickle === undefined) return;
      entry.live?.dispose();
      entry.live = undefined;
    },
    drop(id) {
      const entry = held.get(id);
      if (entry === undefined) return;
      entry.live?.dispose();
      held.delete(id);
      cycle.change('ratchet', id, () => undefined);
    },
    dispose() {
      for (const entry of held.values()) entry.live?.dispose();
      held.clear();
    },
  };
}
