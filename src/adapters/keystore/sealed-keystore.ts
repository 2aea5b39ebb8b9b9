/**
 * The keystore over any key-value database. It stands on three things: a directory in memory that knows for
 * each record which commit wrote it (directory.ts), seals that open only what that commit wrote (record-seal.ts),
 * and a chain of commits whose end an anchor outside the database remembers (history.ts).
 */
import type { Primitives } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import { isWellFormed } from '../../entities/text.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { Change, Keystore, RecordKind, StorePosition } from '../../usecases/ports/keystore.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import type { Records } from '../../usecases/ports/records.ts';
import { decodeAnchor, encodeAnchor } from './anchor.ts';
import { AnchorKeeper } from './anchor-keeper.ts';
import { genesis } from './commit-chain.ts';
import { CommitGroup } from './commit-group.ts';
import { CommitWriter, type StagedChange } from './commit-writer.ts';
import { Undecodable } from './compact-bytes.ts';
import { Directory } from './directory.ts';
import { readHistory } from './history.ts';
import type { AnchorFile, KeyValue } from './key-value.ts';
import {
  FIRST_SCHEMA,
  type Migration,
  migrate,
  schemaAfter,
  migrations as shippedMigrations,
} from './migration.ts';
import { EPOCH_ID_BYTES, type Epoch, RecordSeal } from './record-seal.ts';
import { decodeValue, encodeValue } from './record-value.ts';
import type { StoreKeys } from './store-keys.ts';

const DEFAULT_CHECKPOINT_BYTES = 64 * 1024;
const VERIFY_AT_ONCE = 256;

export interface KeystoreParts {
  readonly database: KeyValue;
  readonly anchor: AnchorFile;
  readonly keys: StoreKeys;
  readonly primitives: Primitives;
  readonly randomness: Randomness;
  readonly clock: Clock;
}

export interface KeystoreOptions {
  /** Kinds of which every record is read and checked before the store is handed out. */
  readonly verifyAtOpen?: readonly RecordKind[];
  /** Every version step this program knows; what ships is the default. */
  readonly migrations?: readonly Migration[];
  /** Commit records are kept up to this size, or that of the directory, before a checkpoint replaces them. */
  readonly checkpointBytes?: number;
}

/** Makes an empty store in an empty database. */
export async function createSealedKeystore(
  parts: KeystoreParts,
  options: KeystoreOptions = {},
): Promise<Keystore> {
  const schema = schemaAfter(options.migrations ?? shippedMigrations);
  const seal = new RecordSeal(parts.primitives, parts.keys);
  const writer = new CommitWriter(parts, seal, newEpoch(parts, schema), {
    position: genesis(parts.primitives.hash, parts.keys.storeId),
    directory: new Directory(),
    firstCommit: 1,
    checkpoints: [],
    checkpointBytes: 0,
    bytesSince: 0,
  });
  await writer.write([], 0);
  await parts.anchor.replace(encodeAnchor(parts.primitives.mac, parts.keys, writer.position));
  return new SealedKeystore(parts, options, seal, writer, writer.position.number);
}

/**
 * Opens a store and checks its whole history. Throws `store-damaged`, `store-rolled-back` or
 * `store-unknown-version`, and has written nothing then.
 */
export async function openSealedKeystore(
  parts: KeystoreParts,
  options: KeystoreOptions = {},
): Promise<Keystore> {
  const steps = options.migrations ?? shippedMigrations;
  const schema = schemaAfter(steps);
  const seal = new RecordSeal(parts.primitives, parts.keys);
  const anchor = decodeAnchor(parts.primitives.mac, parts.keys, await parts.anchor.read());
  const history = await readHistory({
    ...parts,
    seal,
    storeId: parts.keys.storeId,
    anchor,
    schema,
  });
  const written = history.directory.latestEpoch()?.schema ?? schema;
  const writer = new CommitWriter(parts, seal, newEpoch(parts, schema), history);
  const store = new SealedKeystore(parts, options, seal, writer, anchor.number);
  await store.verify(options.verifyAtOpen ?? []);
  if (written < schema) await store.bringForward(steps.slice(written - FIRST_SCHEMA));
  return store;
}

function newEpoch({ randomness }: KeystoreParts, schema: number): Epoch {
  return { id: randomness(EPOCH_ID_BYTES), schema };
}

class SealedKeystore implements Keystore {
  readonly #parts: KeystoreParts;
  readonly #checkpointBytes: number;
  readonly #seal: RecordSeal;
  readonly #writer: CommitWriter;
  readonly #anchor: AnchorKeeper;
  #next: CommitGroup | undefined;
  #current: CommitGroup | undefined;
  #draining: Promise<void> | undefined;
  #failure: MeshError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    parts: KeystoreParts,
    options: KeystoreOptions,
    seal: RecordSeal,
    writer: CommitWriter,
    anchored: number,
  ) {
    this.#parts = parts;
    this.#checkpointBytes = options.checkpointBytes ?? DEFAULT_CHECKPOINT_BYTES;
    this.#seal = seal;
    this.#writer = writer;
    this.#anchor = new AnchorKeeper(
      parts,
      anchored,
      () => writer.position,
      (error) => this.#fail(error),
    );
    if (anchored < writer.position.number) this.#anchor.later();
  }

  async read<Kind extends RecordKind>(kind: Kind, key: string): Promise<Records[Kind] | undefined> {
    // The seal vouches that these are the bytes that `commit` made of a `Records[Kind]`.
    return (await this.readAny(kind, key)) as Records[Kind] | undefined;
  }

  async readAny(kind: string, key: string): Promise<unknown> {
    for (;;) {
      this.#assertUsable();
      const current = this.#current;
      const written = current?.find(kind, key);
      if (current !== undefined && written !== undefined) {
        // The database may hold the old value or the new one by now; what counts is decided with the write.
        await current.done;
        return written.value === undefined ? undefined : decoded(kind, written.value);
      }
      const origin = this.#writer.directory.find(kind, key);
      if (origin === undefined) return undefined;
      const name = this.#seal.recordName(kind, key);
      const sealed = await this.#parts.database.get(name);
      const bytes = sealed && (await this.#seal.open([{ name, origin, sealed }]))[0];
      if (bytes !== undefined) return decoded(kind, bytes);
      const overtaken =
        this.#current?.find(kind, key) !== undefined ||
        this.#writer.directory.find(kind, key)?.number !== origin.number;
      if (!overtaken) throw unreadable(kind, sealed === undefined);
    }
  }

  keys(kind: string): readonly string[] {
    this.#assertUsable();
    return this.#writer.directory.keys(kind);
  }

  position(): StorePosition {
    return this.#writer.position;
  }

  async commit(changes: readonly Change[]): Promise<void> {
    return this.#commitAny(changes.map(stage));
  }

  async #commitAny(changes: readonly StagedChange[]): Promise<void> {
    this.#assertUsable();
    if (changes.length === 0) return (this.#next ?? this.#current)?.done;
    this.#next ??= new CommitGroup();
    this.#next.add(changes);
    const { done } = this.#next;
    this.#draining ??= this.#drain();
    return done;
  }

  async #drain(): Promise<void> {
    for (;;) {
      // Whatever is handed over in this same turn shares the write.
      await undefined;
      const group = this.#next;
      if (group === undefined) break;
      this.#next = undefined;
      this.#current = group;
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#writer.write(group.changes(), this.#anchor.reached, this.#checkpointBytes);
        this.#anchor.later();
        this.#current = undefined;
        group.settle();
      } catch (error) {
        this.#current = undefined;
        group.settle(this.#fail(error));
      }
    }
    this.#draining = undefined;
  }

  #fail(error: unknown): MeshError {
    this.#failure ??=
      error instanceof MeshError
        ? error
        : new MeshError(
            'store-write-failed',
            { detail: error instanceof Error ? error.message : 'unknown' },
            error,
          );
    return this.#failure;
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw new Error('the keystore was used after it had been closed');
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    await this.#draining;
    try {
      await (this.#failure === undefined ? this.#anchor.finish() : this.#anchor.stop());
    } finally {
      await this.#parts.database.close();
    }
  }

  /** Reads every record of these kinds. Throws `store-damaged`. */
  async verify(kinds: readonly string[]): Promise<void> {
    for (const kind of kinds) {
      const all = this.#writer.directory.keys(kind);
      for (let start = 0; start < all.length; start += VERIFY_AT_ONCE) {
        const names = all.slice(start, start + VERIFY_AT_ONCE).map((key) => ({
          name: this.#seal.recordName(kind, key),
          origin: this.#writer.directory.find(kind, key),
        }));
        const values = await this.#parts.database.getMany(names.map(({ name }) => name));
        const present = names.map(({ name, origin }, index) => {
          const sealed = values[index];
          if (sealed === undefined || origin === undefined) throw unreadable(kind, true);
          return { name, origin, sealed };
        });
        if ((await this.#seal.open(present)).includes(undefined)) throw unreadable(kind, false);
      }
    }
  }

  async bringForward(steps: readonly Migration[]): Promise<void> {
    const changed = await migrate(
      {
        kinds: () => this.#writer.directory.kinds(),
        keys: (kind) => this.keys(kind),
        read: (kind, key) => this.readAny(kind, key),
      },
      steps,
    );
    const changes = changed.map((record) =>
      'value' in record
        ? stageAny(record.kind, record.key, encodeValue(record.value))
        : stageAny(record.kind, record.key),
    );
    await this.#writer.write(changes, this.#anchor.reached, this.#checkpointBytes);
    this.#anchor.later();
  }
}

/** Only a program with other ideas of a record writes what this one cannot read, and still seals it rightly. */
function decoded(kind: string, bytes: Uint8Array): unknown {
  try {
    return decodeValue(bytes);
  } catch (error) {
    if (!(error instanceof Undecodable)) throw error;
    throw new MeshError('store-damaged', { detail: `a record of kind ${kind} is not one` }, error);
  }
}

function unreadable(kind: string, missing: boolean): MeshError {
  return new MeshError('store-damaged', {
    detail: `a record of kind ${kind} ${missing ? 'is missing' : 'was altered'}`,
  });
}

function stage(change: Change): StagedChange {
  return stageAny(change.kind, change.key, 'put' in change ? encodeValue(change.put) : undefined);
}

function stageAny(kind: string, key: string, value?: Uint8Array): StagedChange {
  if (!isWellFormed(key)) throw new Error('the key of a record holds half a character');
  return { kind, key, value };
}
