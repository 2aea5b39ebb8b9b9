/**
 * A stream as its recipient sees it: taken in order, each number once. What arrives early waits in memory, is
 * not acknowledged and so never lost; what is missing is asked for.
 */
import { runAt, same } from './outgoing-stream.ts';
import { type BatchItem, type Line, MAX_LINE, RUN_BYTES } from './wire/items.ts';
import type { StreamRecord } from './wire/records.ts';

export interface IncomingStream {
  readonly id: Uint8Array;
  /** Every number up to this one has been taken. */
  readonly through: number;
  readonly line: Line;
  /** The lowest number that the sender still holds, as it said last: it asks about none below. */
  readonly low: number;
  /**
   * Taken numbers that held no payload, and those that could not be understood: the newest of each. They are
   * remembered beyond `low`, for a sender that comes back as an old copy of itself and asks again.
   */
  readonly skipped: readonly number[];
  readonly refused: readonly number[];
}

export type Arrival =
  | {
      readonly stream: IncomingStream;
      /** The records to take, and the number of the first. */
      readonly taken: readonly StreamRecord[];
      readonly first: number;
      /** How many numbers the sender no longer holds, has not given anew, and this device never had. */
      readonly lost: number;
    }
  | 'duplicate'
  | 'gap'
  /** Its numbers were used before, by another life of the sender. */
  | 'conflict'
  /** Of a stream that was replaced. */
  | 'stale';

/** Stands in a line for numbers that were never taken. */
export const NO_RUN = new Uint8Array(RUN_BYTES);
export const REMEMBERED_OUTCOMES = 1024;

/** What a batch does to the stream that is being received; `former` are ids of those before it. */
export function arrive(
  current: IncomingStream | undefined,
  former: readonly Uint8Array[],
  batch: BatchItem,
): Arrival {
  if (former.some((id) => same(id, batch.stream))) return 'stale';
  const stream =
    current !== undefined && same(current.id, batch.stream)
      ? current
      : { id: batch.stream, through: 0, low: 1, line: [], skipped: [], refused: [] };
  const last = batch.first + batch.records.length - 1;
  const before = batch.first - 1;
  if (before >= 1 && before <= stream.through && batch.after.length > 0) {
    if (differs(runAt(stream.line, before), batch.after)) return 'conflict';
  }
  for (let n = batch.first; n <= Math.min(last, stream.through); n++) {
    if (differs(runAt(stream.line, n), batch.run)) return 'conflict';
  }
  if (last <= stream.through) return 'duplicate';
  const reachable = Math.max(stream.through, batch.low - 1);
  if (batch.first > reachable + 1) return 'gap';
  const first = reachable + 1;
  const taken = batch.records.slice(first - batch.first);
  const numbersOf = (kind: StreamRecord['kind']): number[] =>
    taken.flatMap((record, i) => (record.kind === kind ? [first + i] : []));
  const keep = (before: readonly number[], now: readonly number[]): number[] =>
    [...before, ...now].slice(-REMEMBERED_OUTCOMES);
  return {
    stream: {
      id: stream.id,
      through: last,
      low: Math.max(stream.low, batch.low),
      line: extend(jump(stream.line, stream.through, first), batch.run, first),
      skipped: keep(stream.skipped, numbersOf('skip')),
      refused: keep(stream.refused, numbersOf('unknown')),
    },
    taken,
    first,
    lost: batch.moved ? 0 : reachable - stream.through,
  };
}

/** Numbers from before the remembered line differ from nothing, nor do those that were jumped over. */
function differs(known: Uint8Array | undefined, claimed: Uint8Array): boolean {
  return known !== undefined && !same(known, NO_RUN) && !same(known, claimed);
}

/** Numbers that the sender no longer holds were given by nobody: whoever asks later is told that none was taken. */
function jump(line: Line, through: number, first: number): Line {
  return first > through + 1 ? extend(line, NO_RUN, through + 1) : line;
}

function extend(line: Line, run: Uint8Array, from: number): Line {
  const last = line.at(-1);
  if (last !== undefined && same(last[0], run)) return line;
  return [...line, [run, from] as const].slice(-MAX_LINE);
}
