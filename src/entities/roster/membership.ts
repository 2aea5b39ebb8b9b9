/** What a device holds of the log, and how it begins: with a GENESIS, or with what its store kept. */
import type { Hash } from '../crypto.ts';
import type { MeshId } from '../mesh-id.ts';
import type { Result } from '../result.ts';
import { deriveMeshId, type Entry, type EntryHash, isKind, type Log } from './entry.ts';
import type { Pool } from './pool.ts';
import { type Roster, rosterOf } from './roster.ts';
import { checkSignatures, type VerifySignature } from './signing.ts';
import { closedLog } from './standing.ts';

export interface Membership {
  readonly mesh: MeshId;
  readonly genesis: Entry;
  /** The admitted entries in the order of their admission: sent in this order they are admitted elsewhere. */
  readonly log: Log;
  readonly roster: Roster;
  /**
   * Rule 6: entries that are covered and not held. A cut, or a head that a CONFIRM names, is; so is what such
   * an entry, once seen, names as its predecessor.
   */
  readonly covered: ReadonlySet<EntryHash>;
  readonly pool: Pool;
}

export type GenesisRefusal = 'entry-not-genesis' | 'entry-wrong-mesh' | 'entry-signature-invalid';

/** The log of a mesh that consists of its founder. A newcomer says which mesh it was invited to. */
export function foundMembership(
  hash: Hash,
  verify: VerifySignature,
  genesis: Entry,
  expected?: MeshId,
): Result<Membership, GenesisRefusal> {
  if (!isKind(genesis, 'genesis')) return { refused: 'entry-not-genesis' };
  const mesh = deriveMeshId(hash, genesis.hash);
  if (expected !== undefined && expected !== mesh) return { refused: 'entry-wrong-mesh' };
  if (checkSignatures(hash, verify, mesh, genesis, genesis.body.keys) !== undefined) {
    return { refused: 'entry-signature-invalid' };
  }
  return { ok: membershipOf(hash, mesh, genesis, new Map([[genesis.hash, genesis]])) };
}

/**
 * The log as a device kept it, in the order of admission. Signatures and rule 6 were looked at when the entries
 * were admitted and are not again; a log with a hole is refused.
 */
export function restoreMembership(
  hash: Hash,
  entries: readonly Entry[],
): Result<Membership, 'log-empty' | 'log-incomplete'> {
  const genesis = entries[0];
  if (genesis === undefined || !isKind(genesis, 'genesis')) return { refused: 'log-empty' };
  const mesh = deriveMeshId(hash, genesis.hash);
  const log = closedLog(mesh, genesis, entries);
  if (log.size !== entries.length) return { refused: 'log-incomplete' };
  return { ok: membershipOf(hash, mesh, genesis, log) };
}

function membershipOf(hash: Hash, mesh: MeshId, genesis: Entry, log: Log): Membership {
  const covered = new Set<EntryHash>();
  for (const entry of log.values()) {
    for (const named of covers(entry)) if (!log.has(named)) covered.add(named);
  }
  return { mesh, genesis, log, roster: rosterOf(hash, mesh, genesis, log), covered, pool: new Map() };
}

/** Rule 6: what an admitted entry covers by naming it, whatever has become of its author. */
export function covers(entry: Entry): readonly EntryHash[] {
  if (isKind(entry, 'confirm')) return entry.body.heads;
  if (isKind(entry, 'revoke') && entry.body.cut !== null) return [entry.body.cut];
  return [];
}
