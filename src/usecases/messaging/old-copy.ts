/**
 * What becomes of a device that was put back to an older state of itself, or that runs twice: a peer has seen of it
 * what it does not remember. Its ratchets would use keys again and its numbers would stand for two things, so it
 * gives up all sessions, sends no records until it knows what each peer has, and numbers the rest anew.
 */
import { isAhead, type Received, same } from '../../entities/outgoing-stream.ts';
import { retireAll } from '../../entities/session-set.ts';
import type { GroupSending } from './group-sending.ts';
import type { Office } from './office.ts';
import type { Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import type { Ratchets } from './ratchets.ts';
import { dropRetired, pairChanged } from './sealing.ts';

export interface OldCopy {
  /** This peer has seen of us what we do not remember. */
  found(peer: Peer): void;
  /** The peer said what it has. True where that had to be put in order first, and now is. */
  resolve(peer: Peer, received: Received | null): boolean;
}

export function createOldCopy(
  office: Office,
  outbox: Outbox,
  ratchets: Ratchets,
  greet: (peer: Peer) => void,
  groups: Pick<GroupSending, 'rotateAll'>,
): OldCopy {
  let known = false;

  /** Once in a life of the program: what is begun after that is of this life. */
  function giveUpAll(evidence: Peer): void {
    if (known) return;
    known = true;
    groups.rotateAll();
    office.report({ what: 'rolled-back', device: evidence.id, count: 1 });
    for (const peer of office.peers.values()) {
      const before = peer.sessions.sessions;
      peer.sessions = retireAll(peer.sessions);
      dropRetired(peer, before, ratchets);
      peer.theirKeys = [];
      freeze(peer);
    }
  }

  function freeze(peer: Peer): void {
    peer.frozen = peer.outgoing !== undefined;
    pairChanged(office, peer);
    peer.contact.attempts = 0;
    greet(peer);
  }

  function found(peer: Peer): void {
    giveUpAll(peer);
    if (!peer.frozen && peer.outgoing !== undefined) freeze(peer);
  }

  return {
    found,

    resolve(peer, received) {
      const { outgoing } = peer;
      const ours = received !== null && outgoing !== undefined && same(received.stream, outgoing.id);
      if (ours && isAhead(outgoing, received, (number) => outbox.runOf(peer, number))) found(peer);
      if (!peer.frozen) return false;
      outbox.renumber(peer, ours ? received : undefined);
      peer.frozen = false;
      pairChanged(office, peer);
      office.cycle.wake();
      return true;
    },
  };
}
