/**
 * Reads a store's history on opening and takes nothing on trust: every commit record that lies there must open,
 * follow the one before without a gap, and lead to the state that the anchor knows.
 */
import { equal } from '../../entities/bytes.ts';
import type { Primitives } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import type { StorePosition } from '../../usecases/ports/keystore.ts';
import { commitDigest, decodeCheckpoint, decodeCommit, splitEpoch } from './commit-chain.ts';
import { Undecodable } from './compact-bytes.ts';
import type { Directory } from './directory.ts';
import type { KeyValue } from './key-value.ts';
import {
  CHECKPOINT_PREFIX,
  COMMIT_PREFIX,
  numberInName,
  type Origin,
  type RecordSeal,
  type SealedBytes,
} from './record-seal.ts';

export interface History {
  readonly position: StorePosition;
  readonly directory: Directory;
  /** The lowest commit whose record still lies in the database. */
  readonly firstCommit: number;
  /** Numbers of the checkpoints in the database, rising. */
  readonly checkpoints: readonly number[];
  readonly checkpointBytes: number;
  /** How much has been written into commit records since the last checkpoint. */
  readonly bytesSince: number;
}

export interface HistorySource {
  readonly database: KeyValue;
  readonly seal: RecordSeal;
  readonly primitives: Primitives;
  readonly storeId: Uint8Array;
  readonly anchor: StorePosition;
  /** The newest schema version that this program knows. */
  readonly schema: number;
}

const damaged = (detail: string, cause?: unknown) => new MeshError('store-damaged', { detail }, cause);
const rolledBack = (detail: string) => new MeshError('store-rolled-back', { detail });

/** Throws `store-damaged`, `store-rolled-back` or `store-unknown-version`. */
export async function readHistory(source: HistorySource): Promise<History> {
  const checkpoints = await openNumbered(source, CHECKPOINT_PREFIX, 'checkpoint');
  const commits = await openNumbered(source, COMMIT_PREFIX, 'commit');
  const base = checkpoints.at(-1);
  if (base === undefined) throw damaged('its checkpoint is missing');
  const first = base.origin.number;
  const { digest, directory } = decodeOr('checkpoint', first, () => decodeCheckpoint(base.bytes));

  const digests = new Map<number, Uint8Array>([[first - 1, digest]]);
  const firstCommit = commits[0]?.origin.number ?? first + 1;
  if (firstCommit > first) throw hole(first);
  let expected = firstCommit;
  let end: StorePosition | undefined;
  let bytesSince = 0;
  for (const { origin, bytes } of commits) {
    if (origin.number !== expected) throw hole(expected);
    expected++;
    const record = decodeOr('commit', origin.number, () => decodeCommit(bytes));
    const own = commitDigest(source.primitives.hash, source.storeId, origin, bytes);
    link(digests, origin.number - 1, record.previous);
    link(digests, origin.number, own);
    end = { number: origin.number, digest: own };
    if (origin.number >= first) {
      decodeOr('checkpoint', first, () => directory.apply(origin, record.changes));
      bytesSince += bytes.length;
    }
  }
  if (end === undefined || end.number < first) throw hole(expected);
  compareWithAnchor(source.anchor, end, digests);
  return {
    position: end,
    directory,
    firstCommit,
    checkpoints: checkpoints.map(({ origin }) => origin.number),
    checkpointBytes: base.bytes.length,
    bytesSince,
  };
}

const hole = (number: number) => damaged(`commit ${number} is missing`);

/** Notes the digest of a commit, which all that speak of that commit must agree on. */
function link(digests: Map<number, Uint8Array>, number: number, digest: Uint8Array): void {
  const known = digests.get(number);
  if (known !== undefined && !equal(known, digest))
    throw damaged(`commit ${number} is not the one that was followed`);
  digests.set(number, digest);
}

function compareWithAnchor(
  anchor: StorePosition,
  end: StorePosition,
  digests: ReadonlyMap<number, Uint8Array>,
): void {
  if (end.number < anchor.number) {
    throw rolledBack(`it ends at commit ${end.number}, the anchor knows commit ${anchor.number}`);
  }
  const digest = digests.get(anchor.number);
  // Commits are forgotten only once the anchor is past them, so this anchor was put back from an older copy.
  if (digest === undefined) throw rolledBack(`its anchor is of commit ${anchor.number}, long gone`);
  if (!equal(digest, anchor.digest))
    throw rolledBack(`commit ${anchor.number} is not the one the anchor knows`);
}

interface OpenedBytes {
  readonly origin: Origin;
  readonly bytes: Uint8Array;
}

async function openNumbered(
  { database, seal, schema }: HistorySource,
  prefix: Uint8Array,
  what: string,
): Promise<readonly OpenedBytes[]> {
  const found: SealedBytes[] = [];
  for await (const { name, value } of database.entries(prefix)) {
    const number = numberInName(name);
    if (number === undefined) throw damaged(`a ${what} has a name that none can have`);
    const { epoch, sealed } = decodeOr(what, number, () => splitEpoch(value));
    found.push({ name, origin: { number, epoch }, sealed });
  }
  found.sort((a, b) => a.origin.number - b.origin.number);
  const opened = await seal.open(found);
  return found.map(({ origin }, index) => {
    const bytes = opened[index];
    if (bytes === undefined) throw damaged(`${what} ${origin.number} was altered`);
    if (origin.epoch.schema > schema) {
      throw new MeshError('store-unknown-version', { version: origin.epoch.schema });
    }
    return { origin, bytes };
  });
}

function decodeOr<T>(what: string, number: number, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof Undecodable) throw damaged(`${what} ${number} cannot be read`, error);
    throw error;
  }
}
