/**
 * Which entries become part of the log. Admission never asks when or from whom an entry came, only what is held
 * already, and rule 6 only ever holds an entry back: once the same revocations and confirmations have spread,
 * every remaining member has admitted the same entries.
 */
import type { Hash } from '../crypto.ts';
import type { DeviceId } from '../device-id.ts';
import type { Entry, EntryHash } from './entry.ts';
import { covers, type Membership } from './membership.ts';
import { type OpenPool, openPool, poolKey } from './pool.ts';
import { rosterOf } from './roster.ts';
import { checkSignatures, type SignatureRefusal, type VerifySignature } from './signing.ts';
import { type Standing, standingOf } from './standing.ts';

export interface AdmissionContext {
  readonly hash: Hash;
  readonly verify: VerifySignature;
  /** This device: rule 6 never holds its own entries back, so its last CONFIRM can be kept and sent. */
  readonly self?: DeviceId;
}

export type AdmissionRefusal =
  | SignatureRefusal
  /** Of another mesh, or a second GENESIS. */
  | 'entry-wrong-mesh'
  /** The predecessor is another author's, or has not the number before. */
  | 'entry-chain-broken'
  /** Rule 6. The same entry may be admitted later. */
  | 'entry-not-covered';

export type Admission =
  | { readonly outcome: 'admitted' }
  | { readonly outcome: 'already' }
  /** Waits in the pool. `missing` may be asked for; it is empty where only the author's ADD is awaited. */
  | { readonly outcome: 'pending'; readonly missing: readonly EntryHash[] }
  | { readonly outcome: 'refused'; readonly reason: AdmissionRefusal };

export interface AdmissionStep {
  readonly membership: Membership;
  /** One for each candidate, in their order. */
  readonly outcomes: readonly Admission[];
  /** What is new in the log, in the order of admission, entries from the pool among it. */
  readonly admitted: readonly Entry[];
}

/** The candidates may come in any order; those that belong together are best given at once. */
export function admit(
  context: AdmissionContext,
  before: Membership,
  candidates: readonly Entry[],
): AdmissionStep {
  if (candidates.every((entry) => before.log.has(entry.hash))) {
    return { membership: before, outcomes: candidates.map(() => ({ outcome: 'already' })), admitted: [] };
  }
  const desk = openDesk(context, before);
  for (const candidate of candidates) desk.consider(candidate);
  desk.reconsider(candidates);
  const membership = desk.close();
  return {
    membership,
    outcomes: candidates.map((candidate) => desk.outcomeOf(candidate)),
    admitted: desk.admitted,
  };
}

type Verdict = 'admitted' | 'already' | 'pending' | AdmissionRefusal;

interface Desk {
  readonly admitted: readonly Entry[];
  consider(candidate: Entry): void;
  reconsider(candidates: readonly Entry[]): void;
  outcomeOf(candidate: Entry): Admission;
  close(): Membership;
}

function openDesk(context: AdmissionContext, before: Membership): Desk {
  const log = new Map(before.log);
  const covered = new Set(before.covered);
  const pool: OpenPool = openPool(before.pool, (hash) => covered.has(hash));
  const admitted: Entry[] = [];
  const verdicts = new Map<string, Verdict>();
  const followed = new Set<EntryHash | null>();
  for (const entry of log.values()) followed.add(entry.previous);
  const begun = new Set([...log.values()].filter((e) => e.sequence === 1).map((e) => e.author.id));
  let standing: Standing | undefined = before.roster.standing;

  const standingNow = (): Standing => {
    standing ??= standingOf(before.genesis, log);
    return standing;
  };

  /** Covers an entry and, as far as copies in the pool show them, its ancestors. */
  const cover = (named: EntryHash): void => {
    const queue: EntryHash[] = [named];
    for (const hash of queue) {
      if (log.has(hash) || covered.has(hash)) continue;
      covered.add(hash);
      const previous = pool.copies(hash)[0]?.previous;
      if (previous !== undefined && previous !== null) queue.push(previous);
    }
  };

  /** Rule 6. A device that no ADD has brought in is not held back: its entries wait in the pool. */
  const isHeldBack = (entry: Entry): boolean => {
    const author = entry.author.id;
    const { everMembers, members } = standingNow();
    return (
      author !== context.self && everMembers.has(author) && !members.has(author) && !covered.has(entry.hash)
    );
  };

  const judge = (entry: Entry): Verdict => {
    if (log.has(entry.hash)) return 'already';
    if (entry.mesh !== before.mesh) return 'entry-wrong-mesh';
    const previous = entry.previous === null ? undefined : log.get(entry.previous);
    if (previous !== undefined) {
      if (previous.author.id !== entry.author.id) return 'entry-chain-broken';
      if (previous.sequence !== entry.sequence - 1) return 'entry-chain-broken';
    }
    if (isHeldBack(entry)) return 'entry-not-covered';
    const keys = standingNow().everMembers.get(entry.author.id);
    if (keys === undefined) return 'pending';
    const refusal = checkSignatures(context.hash, context.verify, before.mesh, entry, keys);
    if (refusal !== undefined) return refusal;
    return entry.previous === null || previous !== undefined ? 'admitted' : 'pending';
  };

  const wait = (entry: Entry): void => {
    pool.put(entry);
    if (covered.has(entry.hash) && entry.previous !== null) cover(entry.previous);
  };

  const enter = (entry: Entry): void => {
    const { body } = entry;
    const author = entry.author.id;
    const forks = entry.previous === null ? begun.has(author) : followed.has(entry.previous);
    // Everything else leaves the standing of every device as it is.
    const matters = body.kind === 'add' || body.kind === 'revoke' || body.kind === 'leave';
    if (matters || forks || standingNow().removed.has(author)) standing = undefined;
    log.set(entry.hash, entry);
    admitted.push(entry);
    if (entry.previous === null) begun.add(author);
    else followed.add(entry.previous);
    covered.delete(entry.hash);
    for (const named of covers(entry)) cover(named);
  };

  const consider = (candidate: Entry): void => {
    const queue: Entry[] = [candidate];
    for (const entry of queue) {
      const verdict = judge(entry);
      const key = poolKey(entry);
      if (!(verdict === 'already' && verdicts.get(key) === 'admitted')) verdicts.set(key, verdict);
      if (verdict === 'pending') {
        wait(entry);
        continue;
      }
      pool.take(entry);
      if (verdict !== 'admitted') continue;
      enter(entry);
      if (pool.size === 0) continue;
      queue.push(...pool.copies(entry.hash), ...pool.followers(entry.hash));
      if (entry.body.kind === 'add') queue.push(...pool.by(entry.body.device));
    }
  };

  return {
    admitted,
    consider,
    /** What was held back is looked at again as long as anything comes of it: its cover may have come later. */
    reconsider(candidates) {
      let left = candidates.filter((entry) => verdicts.get(poolKey(entry)) === 'entry-not-covered');
      let changed = left.length > 0;
      while (changed) {
        // Backwards, because an entry that is covered covers the one before it.
        for (const entry of left.toReversed()) consider(entry);
        const still = left.filter((entry) => verdicts.get(poolKey(entry)) === 'entry-not-covered');
        changed = still.length < left.length && still.length > 0;
        left = still;
      }
    },
    outcomeOf(candidate) {
      const verdict = verdicts.get(poolKey(candidate)) ?? 'already';
      switch (verdict) {
        case 'admitted':
        case 'already':
          return { outcome: verdict };
        case 'pending':
          return { outcome: 'pending', missing: missingFor(log, pool, candidate, standingNow()) };
        default:
          return { outcome: 'refused', reason: verdict };
      }
    },
    close() {
      const roster =
        admitted.length === 0 ? before.roster : rosterOf(context.hash, before.mesh, before.genesis, log);
      return { ...before, log, roster, covered, pool: pool.close() };
    },
  };
}

/** The end of what is known of the chain and, for an author that nobody has added yet, what it had seen. */
function missingFor(
  log: ReadonlyMap<EntryHash, Entry>,
  pool: Pick<OpenPool, 'copies'>,
  entry: Entry,
  standing: Standing,
): EntryHash[] {
  const missing = new Set<EntryHash>();
  const isUnknown = (hash: EntryHash): boolean => !log.has(hash) && pool.copies(hash).length === 0;
  let previous = entry.previous;
  while (previous !== null && !log.has(previous)) {
    const next: Entry | undefined = pool.copies(previous)[0];
    if (next === undefined) missing.add(previous);
    previous = next?.previous ?? null;
  }
  if (!standing.everMembers.has(entry.author.id)) {
    for (const head of entry.heads) if (isUnknown(head)) missing.add(head);
  }
  return [...missing];
}
