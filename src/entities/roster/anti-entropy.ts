/** How two devices find out what the other lacks, from the ends of the chains that each holds. */
import type { DeviceId } from '../device-id.ts';
import type { Entry, EntryHash } from './entry.ts';
import type { Membership } from './membership.ts';
import type { Head } from './roster.ts';

/** How many hashes are asked for at a time. */
export const WANTED_MAX = 256;
/** An answer reaches this far back in the chain of each entry that was asked for. */
const ANSWER_DEPTH = 64;

/** So many heads go into a hello: a forked author may have any number of them. */
export const NAMED_HEADS_MAX = 512;

/** The ends of all chains: they name everything that is held. */
export function heads(membership: Membership): readonly Head[] {
  return membership.roster.heads;
}

/**
 * The heads that a hello names. What would be too many is left out, and what it leads to is sent once more than
 * needed: first the other branches of forks, then chains of those who are no members, and that of `self` never.
 */
export function headsToName({ roster }: Membership, self: DeviceId): readonly Head[] {
  if (roster.heads.length <= NAMED_HEADS_MAX) return roster.heads;
  const longest = new Map<DeviceId, Head>();
  for (const head of roster.heads) {
    if (head.sequence > (longest.get(head.author)?.sequence ?? 0)) longest.set(head.author, head);
  }
  const rank = (head: Head): number => {
    if (longest.get(head.author) !== head) return 3;
    if (head.author === self) return 0;
    return roster.members.has(head.author) ? 1 : 2;
  };
  return roster.heads.toSorted((a, b) => rank(a) - rank(b)).slice(0, NAMED_HEADS_MAX);
}

/** Which of a peer's heads are not held here. */
export function unknown(membership: Membership, theirs: readonly Head[]): Head[] {
  return theirs.filter((head) => !membership.log.has(head.hash));
}

/**
 * The entries that a peer with these heads lacks, in an order that admits. Where the peer is ahead of us in a
 * chain it is taken to hold our part of it; if that is wrong, its entries will show us the fork, and once we
 * hold them it is sent ours. An unknown head with a number that we have too is a fork already.
 */
export function missing(membership: Membership, theirs: readonly Head[]): Entry[] {
  const { log } = membership;
  const held = new Set<EntryHash>();
  const ahead = new Map<DeviceId, number>();
  for (const head of theirs) {
    if (!log.has(head.hash)) {
      ahead.set(head.author, Math.max(head.sequence, ahead.get(head.author) ?? 0));
      continue;
    }
    let hash: EntryHash | null = head.hash;
    while (hash !== null && !held.has(hash)) {
      held.add(hash);
      hash = log.get(hash)?.previous ?? null;
    }
  }
  return [...log.values()].filter(
    (entry) => !held.has(entry.hash) && entry.sequence >= (ahead.get(entry.author.id) ?? 0),
  );
}

/**
 * What to ask peers for by hash: covered entries (rule 6: what was refused is asked for again once covered), and
 * what entries in the pool build on. Every peer may be asked; most hold some of it.
 */
export function wanted(membership: Membership): EntryHash[] {
  const { log, pool, covered } = membership;
  const pooled = new Set<EntryHash>();
  for (const entry of pool.values()) pooled.add(entry.hash);
  const lists = new Map<DeviceId | 'covered' | 'unknown', Set<EntryHash>>();
  const want = (because: DeviceId | 'covered' | 'unknown', hash: EntryHash): void => {
    if (log.has(hash) || pooled.has(hash)) return;
    const list = lists.get(because);
    if (list === undefined) lists.set(because, new Set([hash]));
    else if (list.size < WANTED_MAX) list.add(hash);
  };
  for (const { author, previous, heads: seen } of pool.values()) {
    // Nobody has checked who wrote what is by an unknown author: all of these share one turn.
    const isKnown = membership.roster.standing.everMembers.has(author.id);
    if (previous !== null) want(isKnown ? author.id : 'unknown', previous);
    if (isKnown) continue;
    for (const hash of seen) want('unknown', hash);
  }
  for (const hash of covered) want('covered', hash);
  return inTurn([...lists.values()], WANTED_MAX);
}

/** One of each, as often as it takes: what one author builds on, made up perhaps, must not keep out the others'. */
function inTurn(lists: readonly ReadonlySet<EntryHash>[], most: number): EntryHash[] {
  const found = new Set<EntryHash>();
  let left = lists.map((list) => list.values());
  while (left.length > 0 && found.size < most) {
    left = left.filter((list) => {
      const { value, done } = list.next();
      if (value !== undefined && found.size < most) found.add(value);
      return done !== true;
    });
  }
  return [...found];
}

/** The entries that a peer asked for, each with some of its chain before it, in an order that admits. */
export function answer(membership: Membership, asked: readonly EntryHash[]): Entry[] {
  const { log } = membership;
  const found = new Set<EntryHash>();
  for (const first of asked.slice(0, WANTED_MAX)) {
    let entry = log.get(first);
    for (let depth = 0; entry !== undefined && depth <= ANSWER_DEPTH; depth++) {
      found.add(entry.hash);
      entry = entry.previous === null ? undefined : log.get(entry.previous);
    }
  }
  return [...log.values()].filter((entry) => found.has(entry.hash));
}
