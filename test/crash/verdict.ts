/** Whether a process of the program was allowed to end as it did. Pure. */

/** How it was with the disk at any time while the process lived: the worst counts. */
export type DiskState = 'sound' | 'full' | 'read-only';

export interface End {
  readonly status: number | null;
  readonly signal: string | null;
  /** Of the error that it said last. */
  readonly code: string | undefined;
  /** The campaign did it. */
  readonly killed: boolean;
  readonly disk: DiskState;
  /** A daemon of the same home began or ended meanwhile. */
  readonly restarted: boolean;
}

/** The exit status of everything that concerns the store. */
const STORE = 3;

/** What an unwritable disk may be called. Full is a disk too while it is made read-only, and the other way round. */
const DISK_CODES: Readonly<Record<DiskState, ReadonlySet<string>>> = {
  sound: new Set(),
  full: new Set(['store-full', 'store-write-failed']),
  'read-only': new Set(['store-write-failed']),
};

/** Accepted, and over for one of its recipients before the command could say so. */
const ENDED = 'delivery-failed';

/** A command waits ten seconds for a store, and a daemon that is killed at each start may keep it for longer. */
const WAITED_IN_VAIN = 'daemon-silent';

/** Of an answer over the socket. Somebody who has the store may end at any time: the caller asks the next one. */
const PASSING: ReadonlySet<string> = new Set(['daemon-gone', 'daemon-stopping']);

export const allowsAnswer = (code: string | undefined, disk: DiskState): boolean =>
  code !== undefined && (PASSING.has(code) || DISK_CODES[disk].has(code));

/** What is wrong with this end, if anything is. A daemon is not expected to end with 0 before it is told to. */
export function complaintAbout(end: End, kind: 'daemon' | 'command'): string | undefined {
  if (end.killed && end.signal === 'SIGKILL') return undefined;
  if (end.signal !== null) return `ended by ${end.signal}`;
  if (kind === 'command' && (end.status === 0 || end.code === ENDED)) return undefined;
  if (kind === 'command' && end.restarted && end.code === WAITED_IN_VAIN) return undefined;
  if (end.status === STORE && end.code !== undefined && DISK_CODES[end.disk].has(end.code)) return undefined;
  return `ended with ${end.status}, ${end.code ?? 'without a code'}, on a ${end.disk} disk`;
}
