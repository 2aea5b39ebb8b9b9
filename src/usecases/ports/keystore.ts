/**
 * The memory of a device. What a step changed is handed over as one set of changes and is kept whole or not at
 * all; once `commit` has resolved it survives a crash. `test/contracts/keystore.ts` says what a keystore owes.
 */
import type { Records } from './records.ts';

export type RecordKind = keyof Records & string;

/** One record is named by its kind and, within the kind, by a key of its own. */
export type Change = {
  [Kind in RecordKind]:
    | { readonly kind: Kind; readonly key: string; readonly put: Records[Kind] }
    | { readonly kind: Kind; readonly key: string; readonly remove: true };
}[RecordKind];

export interface Keystore {
  /**
   * The record as last committed, or `undefined` where there is none. Throws `store-damaged` where there
   * should be one and it is missing, old or altered.
   */
  read<Kind extends RecordKind>(kind: Kind, key: string): Promise<Records[Kind] | undefined>;
  /** The keys of all committed records of a kind, in no order that means anything. */
  keys(kind: RecordKind): readonly string[];
  /**
   * Keeps all changes or none. Commits that are handed over while an earlier one is being written share the
   * next write; they keep their order, and a later change of a record replaces an earlier one. After a write
   * has failed every later call throws `store-write-failed` (or `store-full`): what is on disk is then not
   * known. A commit of nothing writes nothing and resolves after those handed over before it.
   */
  commit(changes: readonly Change[]): Promise<void>;
  /** Where the history ends: grows by one or more with each commit, and names one state of the store. */
  position(): StorePosition;
  /** Writes out what is pending and lets go of the store. */
  close(): Promise<void>;
}

export interface StorePosition {
  readonly number: number;
  readonly digest: Uint8Array;
}
