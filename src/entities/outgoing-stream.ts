/**
 * A stream as its sender sees it: numbers given out, one after the other from 1, to what is to reach one
 * recipient. Whatever was given a number keeps it until the recipient has answered for it.
 *
 * A run is one life of the sender's program. The recipient remembers which run gave which numbers, so a device
 * that was restored from an old copy, and gives numbers a second time, is told so instead of being believed.
 */
import type { AckItem, HelloItem, Line } from './wire/items.ts';

export type Received = NonNullable<HelloItem['received']>;
type Taken = Pick<Received, 'stream' | 'through' | 'line'>;

export interface OutgoingStream {
  readonly id: Uint8Array;
  /** The number that the next record will get. */
  readonly next: number;
  /** The recipient has answered for every number up to this one. */
  readonly through: number;
  /** The run that gave the number `through`; empty where nothing is settled, or that is not known. */
  readonly throughRun: Uint8Array;
  /** The highest number that was ever put into an envelope: up to it, records may have arrived. */
  readonly offered: number;
  /** The broker has taken every number up to this one, at some time. */
  readonly published: number;
}

export const UNKNOWN_RUN = new Uint8Array(0);

export function beginStream(id: Uint8Array): OutgoingStream {
  return { id, next: 1, through: 0, throughRun: UNKNOWN_RUN, offered: 0, published: 0 };
}

export type Settlement =
  /** Numbers up to `through` are answered for. */
  | { readonly settled: OutgoingStream }
  /** Nothing new. */
  | 'old'
  /** About a stream that is no longer sent. */
  | 'other-stream'
  /** The recipient has seen what this device does not remember sending. */
  | 'ahead';

/** What an acknowledgement means. `runOf` names the run that numbered a record that is still held. */
export function settle(
  stream: OutgoingStream,
  ack: Pick<AckItem, 'stream' | 'through' | 'run'>,
  runOf: (number: number) => Uint8Array | undefined,
): Settlement {
  if (!same(ack.stream, stream.id)) return 'other-stream';
  if (ack.through >= stream.next) return 'ahead';
  if (ack.through <= stream.through) return 'old';
  const run = runOf(ack.through);
  if (run === undefined || !same(run, ack.run)) return 'ahead';
  return { settled: settleThrough(stream, ack.through, run) };
}

export function settleThrough(
  stream: OutgoingStream,
  through: number,
  throughRun: Uint8Array,
): OutgoingStream {
  const published = Math.max(stream.published, through);
  const offered = Math.max(stream.offered, through);
  return { ...stream, through, throughRun, offered, published };
}

/** Whether a hello shows that the recipient knows a later life of this device than it does itself. */
export function isAhead(
  stream: OutgoingStream,
  received: Taken,
  runOf: (number: number) => Uint8Array | undefined,
): boolean {
  if (!same(received.stream, stream.id)) return false;
  if (received.through >= stream.next) return true;
  if (received.through <= stream.through) return false;
  const run = runAt(received.line, received.through);
  const ours = runOf(received.through);
  return run === undefined || ours === undefined || !same(run, ours);
}

/** True where the recipient's line shows that it took this very record. */
export function wasTaken(received: Taken, number: number, run: Uint8Array): boolean {
  if (number > received.through) return false;
  const taker = runAt(received.line, number);
  return taker === undefined || same(taker, run);
}

export function runAt(line: Line, number: number): Uint8Array | undefined {
  return line.findLast(([, from]) => from <= number)?.[0];
}

/** Not for secrets. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
