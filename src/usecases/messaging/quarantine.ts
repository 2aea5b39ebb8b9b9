/**
 * What has brought the program down, so that it cannot do so for ever. Whatever is being worked on is a suspect;
 * should it end in a trap or a bug, all suspects are marked on disk before the process ends. What has been marked
 * twice is put aside: a packet is dropped, a session given up, a record counted as not understood.
 */
import { toHex } from '../../entities/bytes.ts';
import { labelledHash } from '../../entities/crypto.ts';
import { utf8 } from '../../entities/text.ts';
import type { PoisonRecord } from '../ports/records.ts';
import type { Office } from './office.ts';

/** Attempts that may bring the program down before the cause is put aside. */
const ATTEMPTS = 2;

export interface Quarantine {
  load(stored: ReadonlyMap<string, PoisonRecord>): void;
  /** Begins with a packet. True where it has to be put aside. */
  holds(packet: Uint8Array): boolean;
  name(kind: 'session' | 'batch', what: string): string;
  isPoison(name: string): boolean;
  isMarked(name: string): boolean;
  suspect(name: string): void;
  /** It did no harm this time, or it is dealt with. */
  clear(name: string): void;
  /** The state in memory cannot be trusted any more: marks the suspects and ends the process. */
  condemn(packet: Uint8Array, error: unknown): void;
  size(): number;
}

export function createQuarantine(office: Office): Quarantine {
  const attempts = new Map<string, number>();
  let suspects: string[] = [];

  const isPoison = (name: string): boolean => (attempts.get(name) ?? 0) >= ATTEMPTS;
  const nameOf = (packet: Uint8Array): string => toHex(labelledHash(office.hash, 'poison v1', packet));

  return {
    load(stored) {
      for (const [name, record] of stored) attempts.set(name, record.attempts);
    },
    holds(packet) {
      suspects = [];
      return attempts.size > 0 && isPoison(nameOf(packet));
    },
    name: (kind, what) => toHex(labelledHash(office.hash, 'poison v1', utf8(`${kind} ${what}`))),
    isPoison,
    isMarked: (name) => attempts.has(name),
    suspect(name) {
      suspects.push(name);
    },
    clear(name) {
      suspects = suspects.filter((suspect) => suspect !== name);
      if (attempts.delete(name)) office.cycle.change('poison', name, () => undefined);
    },
    condemn(packet, error) {
      // Past the commit cycle: its changes must not be written.
      office.cycle.stop();
      const lastAt = office.clock.now();
      const marks = [nameOf(packet), ...suspects].map((key) => {
        const now = (attempts.get(key) ?? 0) + 1;
        const put = { attempts: now, lastAt, packet: now >= ATTEMPTS ? packet : null };
        return { kind: 'poison', key, put } as const;
      });
      office.keystore.commit(marks).then(
        () => office.fatal(error),
        () => office.fatal(error),
      );
    },
    size: () => [...attempts.keys()].filter(isPoison).length,
  };
}
