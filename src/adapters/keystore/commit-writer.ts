/**
 * Turns a set of changes into the one batch that makes them a commit, and keeps what a store knows about itself
 * in step with what the database has confirmed.
 */

import type { Hash } from '../../entities/crypto.ts';
import type { StorePosition } from '../../usecases/ports/keystore.ts';
import { commitDigest, encodeCheckpoint, encodeCommit, withEpoch } from './commit-chain.ts';
import type { Directory } from './directory.ts';
import type { History } from './history.ts';
import type { KeyValue, Write } from './key-value.ts';
import { checkpointName, commitName, type Epoch, type NamedBytes, type RecordSeal } from './record-seal.ts';

/** A bound on how much clearing away one commit has to carry. */
const FORGOTTEN_PER_COMMIT = 128;

export interface StagedChange {
  readonly kind: string;
  readonly key: string;
  /** Absent where the record is removed. */
  readonly value: Uint8Array | undefined;
}

export class CommitWriter {
  readonly #database: KeyValue;
  readonly #hash: Hash;
  readonly #storeId: Uint8Array;
  readonly #seal: RecordSeal;
  readonly #epoch: Epoch;
  readonly directory: Directory;
  #position: StorePosition;
  #firstCommit: number;
  #checkpoints: readonly number[];
  #checkpointBytes: number;
  #bytesSince: number;

  constructor(
    parts: {
      readonly database: KeyValue;
      readonly primitives: { readonly hash: Hash };
      readonly keys: { readonly storeId: Uint8Array };
    },
    seal: RecordSeal,
    epoch: Epoch,
    history: History,
  ) {
    this.#database = parts.database;
    this.#hash = parts.primitives.hash;
    this.#storeId = parts.keys.storeId;
    this.#seal = seal;
    this.#epoch = epoch;
    this.directory = history.directory;
    this.#position = history.position;
    this.#firstCommit = history.firstCommit;
    this.#checkpoints = history.checkpoints;
    this.#checkpointBytes = history.checkpointBytes;
    this.#bytesSince = history.bytesSince;
  }

  get position(): StorePosition {
    return this.#position;
  }

  /**
   * Writes one commit. `anchored` is how far the anchor has come: nothing that it might still need is cleared
   * away. To be called once at a time, and never again after it has thrown.
   */
  async write(changes: readonly StagedChange[], anchored: number, checkpointAt = 0): Promise<void> {
    const origin = { number: this.#position.number + 1, epoch: this.#epoch };
    const entries = changes.map(({ kind, key, value }) => ({ kind, key, removed: value === undefined }));
    const body = encodeCommit({ previous: this.#position.digest, changes: entries });
    const digest = commitDigest(this.#hash, this.#storeId, origin, body);
    const forgotten = this.#forgettable(anchored);
    const batch: Write[] = forgotten.names.map((name) => ({ name, remove: true }));

    const bytesSince = this.#bytesSince + body.length;
    // The checkpoint of a commit is the state that this commit found: the directory may show no commit as done
    // before it is.
    const checkpoint =
      bytesSince > Math.max(checkpointAt, this.#checkpointBytes)
        ? encodeCheckpoint({ digest: this.#position.digest, directory: this.directory })
        : undefined;

    const own: NamedBytes[] = [{ name: commitName(origin.number), bytes: body }];
    if (checkpoint !== undefined) own.push({ name: checkpointName(origin.number), bytes: checkpoint });
    const records: NamedBytes[] = [];
    for (const { kind, key, value } of changes) {
      const name = this.#seal.recordName(kind, key);
      if (value === undefined) batch.push({ name, remove: true });
      else records.push({ name, bytes: value });
    }
    const items = [...own, ...records];
    const sealed = await this.#seal.seal(origin, items);
    items.forEach(({ name }, index) => {
      const bytes = sealed[index];
      if (bytes === undefined) throw new Error('the seal returned fewer values than it was given');
      batch.push({ name, put: index < own.length ? withEpoch(this.#epoch, bytes) : bytes });
    });
    await this.#database.write(batch);

    this.directory.apply(origin, entries);
    this.#position = { number: origin.number, digest };
    this.#firstCommit = forgotten.firstCommit;
    this.#checkpoints = forgotten.checkpoints;
    this.#bytesSince = bytesSince;
    if (checkpoint !== undefined) {
      this.#checkpoints = [...this.#checkpoints, origin.number];
      this.#checkpointBytes = checkpoint.length;
      this.#bytesSince = body.length;
    }
  }

  /** What an anchored checkpoint has made superfluous: older checkpoints, and the commits before it. */
  #forgettable(anchored: number): {
    readonly names: readonly Uint8Array[];
    readonly firstCommit: number;
    readonly checkpoints: readonly number[];
  } {
    const latest = this.#checkpoints.at(-1);
    if (latest === undefined || anchored < latest) {
      return { names: [], firstCommit: this.#firstCommit, checkpoints: this.#checkpoints };
    }
    const names = this.#checkpoints.slice(0, -1).map(checkpointName);
    const firstCommit = Math.min(latest, this.#firstCommit + FORGOTTEN_PER_COMMIT);
    for (let number = this.#firstCommit; number < firstCommit; number++) names.push(commitName(number));
    return { names, firstCommit, checkpoints: [latest] };
  }
}
