/**
 * The history of a store: one small record for each commit, each naming the hash of the one before, and now and
 * then a checkpoint that holds the whole directory, after which older commits are no longer needed.
 *
 * In the database they lie under their plain numbers, so that all of them can be listed and a hole cannot be
 * taken for the end. In front of what is sealed stands, in clear, the epoch that is needed to open it.
 */
import { concat, uint32, uint64 } from '../../entities/bytes.ts';
import { type Hash, labelledHash } from '../../entities/crypto.ts';
import type { StorePosition } from '../../usecases/ports/keystore.ts';
import { ByteReader, ByteWriter, Undecodable } from './compact-bytes.ts';
import { Directory, type DirectoryChange } from './directory.ts';
import { EPOCH_ID_BYTES, type Epoch, type Origin } from './record-seal.ts';

const DIGEST_BYTES = 32;
const SCHEMA_BYTES = 4;
export const EPOCH_BYTES = EPOCH_ID_BYTES + SCHEMA_BYTES;

export interface CommitRecord {
  readonly previous: Uint8Array;
  readonly changes: readonly DirectoryChange[];
}

export function encodeCommit({ previous, changes }: CommitRecord): Uint8Array {
  const to = new ByteWriter();
  to.raw(previous);
  const kinds = [...new Set(changes.map(({ kind }) => kind))];
  to.uint(kinds.length);
  for (const kind of kinds) to.text(kind);
  to.uint(changes.length);
  for (const { kind, key, removed } of changes) {
    to.uint(kinds.indexOf(kind) * 2 + (removed ? 1 : 0));
    to.text(key);
  }
  return to.finish();
}

/** Throws `Undecodable`. */
export function decodeCommit(bytes: Uint8Array): CommitRecord {
  const from = new ByteReader(bytes);
  const previous = from.raw(DIGEST_BYTES);
  const kinds: string[] = [];
  for (let count = from.uint(); count > 0; count--) kinds.push(from.text());
  const changes: DirectoryChange[] = [];
  /** Kinds stand in the order in which the changes first name them. */
  let named = 0;
  for (let count = from.uint(); count > 0; count--) {
    const tag = from.uint();
    const index = Math.floor(tag / 2);
    const kind = kinds[index];
    if (kind === undefined || index > named) throw new Undecodable();
    if (index === named) named++;
    changes.push({ kind, key: from.text(), removed: tag % 2 === 1 });
  }
  if (named !== kinds.length || new Set(kinds).size !== kinds.length) throw new Undecodable();
  from.end();
  return { previous, changes };
}

export interface Checkpoint {
  readonly digest: Uint8Array;
  readonly directory: Directory;
}

export function encodeCheckpoint({ digest, directory }: Checkpoint): Uint8Array {
  const to = new ByteWriter();
  to.raw(digest);
  directory.write(to);
  return to.finish();
}

/** Throws `Undecodable`. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const from = new ByteReader(bytes);
  const digest = from.raw(DIGEST_BYTES);
  const directory = Directory.read(from);
  from.end();
  return { digest, directory };
}

/** What a commit is called by the next one and by the anchor. */
export function commitDigest(hash: Hash, storeId: Uint8Array, origin: Origin, body: Uint8Array): Uint8Array {
  return labelledHash(
    hash,
    'keystore commit v1',
    storeId,
    origin.epoch.id,
    uint32(origin.epoch.schema),
    uint64(origin.number),
    body,
  );
}

/** Where a store stands before its first commit. */
export function genesis(hash: Hash, storeId: Uint8Array): StorePosition {
  return { number: 0, digest: labelledHash(hash, 'keystore genesis v1', storeId) };
}

export function withEpoch(epoch: Epoch, sealed: Uint8Array): Uint8Array {
  return concat(epoch.id, uint32(epoch.schema), sealed);
}

/** Throws `Undecodable` where the value is too short to begin with an epoch. */
export function splitEpoch(value: Uint8Array): { readonly epoch: Epoch; readonly sealed: Uint8Array } {
  if (value.length < EPOCH_BYTES) throw new Undecodable();
  let schema = 0;
  for (const byte of value.subarray(EPOCH_ID_BYTES, EPOCH_BYTES)) schema = schema * 256 + byte;
  return { epoch: { id: value.slice(0, EPOCH_ID_BYTES), schema }, sealed: value.subarray(EPOCH_BYTES) };
}
