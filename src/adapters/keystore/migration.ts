/**
 * How a store written by an older version is brought forward. All migrations that a store needs happen in one
 * commit, so a store is at one version or at another and never between.
 */

/** The store as a migration sees it: kinds and values of any version, and its own changes already in it. */
export interface MigratingStore {
  kinds(): readonly string[];
  keys(kind: string): readonly string[];
  read(kind: string, key: string): Promise<unknown>;
  put(kind: string, key: string, value: unknown): void;
  remove(kind: string, key: string): void;
}

/** Brings a store from one version to the next. */
export type Migration = (store: MigratingStore) => Promise<void>;

/** The first leads from version 1 to 2, the second from 2 to 3, and so on: the list is the version. */
export const migrations: readonly Migration[] = [];

export const FIRST_SCHEMA = 1;

export function schemaAfter(known: readonly Migration[]): number {
  return FIRST_SCHEMA + known.length;
}

export interface MigrationSource {
  kinds(): readonly string[];
  keys(kind: string): readonly string[];
  read(kind: string, key: string): Promise<unknown>;
}

export interface MigratedRecord {
  readonly kind: string;
  readonly key: string;
  /** Absent where the record is removed. */
  readonly value?: unknown;
}

/** Runs migrations over a store and returns what has to be written; nothing is written here. */
export async function migrate(
  source: MigrationSource,
  steps: readonly Migration[],
): Promise<readonly MigratedRecord[]> {
  const changed = new Map<string, Map<string, MigratedRecord>>();
  const change = (record: MigratedRecord) => {
    const ofKind = changed.get(record.kind) ?? new Map<string, MigratedRecord>();
    changed.set(record.kind, ofKind.set(record.key, record));
  };
  const keys = (kind: string) => {
    const all = new Set(source.keys(kind));
    for (const record of changed.get(kind)?.values() ?? []) {
      if ('value' in record) all.add(record.key);
      else all.delete(record.key);
    }
    return [...all];
  };
  const view: MigratingStore = {
    kinds: () => [...new Set([...source.kinds(), ...changed.keys()])].filter((kind) => keys(kind).length > 0),
    keys,
    read: async (kind, key) => {
      const record = changed.get(kind)?.get(key);
      return record === undefined ? source.read(kind, key) : record.value;
    },
    put: (kind, key, value) => change({ kind, key, value }),
    remove: (kind, key) => change({ kind, key }),
  };
  for (const step of steps) await step(view);
  return [...changed.values()].flatMap((ofKind) => [...ofKind.values()]);
}
