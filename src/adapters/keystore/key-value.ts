/**
 * What the keystore needs of a database: byte strings by name, and one kind of write. The keystore protects
 * itself against a database that loses, swaps or alters entries; it relies on nothing but what is said here.
 * `test/contracts/key-value.ts` says it again as a suite.
 */
export type Write =
  | { readonly name: Uint8Array; readonly put: Uint8Array }
  | { readonly name: Uint8Array; readonly remove: true };

export interface Entry {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

export interface KeyValue {
  get(name: Uint8Array): Promise<Uint8Array | undefined>;
  getMany(names: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** All entries whose name begins with `prefix`, in no promised order. */
  entries(prefix: Uint8Array): AsyncIterable<Entry>;
  /**
   * Keeps the whole batch or nothing of it. Once it has resolved the batch survives a loss of power. Throws
   * `store-full` or `store-write-failed`, and then whether the batch was kept is not known.
   */
  write(batch: readonly Write[]): Promise<void>;
  close(): Promise<void>;
}

/** A small file beside the database, replaced as a whole. */
export interface AnchorFile {
  read(): Promise<Uint8Array | undefined>;
  /** Atomic, and durable once resolved. */
  replace(bytes: Uint8Array): Promise<void>;
}
