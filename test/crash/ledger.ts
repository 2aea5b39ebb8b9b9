/** What the callers of one mesh have said and were told. */
import { createHash } from 'node:crypto';
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { Seeded } from '../simulation/seeded.ts';
import type { Sent } from './books.ts';

export interface Letter extends Sent {
  readonly payload: Uint8Array;
  /** Milliseconds, for one that is meant to expire now and then. */
  readonly ttl: number | undefined;
  /** Its caller thinks better of it. */
  readonly cancel: boolean;
  accepted: boolean;
}

export class Ledger {
  readonly letters: Letter[] = [];
  readonly #turns = new Map<string, number>();

  /** A new message of this caller, which is to be sent behind all that it has said before. */
  write(caller: string, from: DeviceId, others: readonly DeviceId[], chance: Seeded): Letter {
    const to = chance.chance(0.3) ? others : [chance.pick(others)];
    const payload = chance.bytes(sizeOf(chance));
    return this.#note({
      caller,
      from,
      to,
      payload,
      chance,
      ttl: chance.chance(0.05) ? 1 + chance.below(800) : undefined,
      cancel: chance.chance(0.05),
    });
  }

  /** The last one of a round: once it has arrived, so has all that was sent before it. */
  mark(from: DeviceId, others: readonly DeviceId[], chance: Seeded): Letter {
    const payload = new TextEncoder().encode('the last one of this round');
    return this.#note({
      caller: `${from} at the end`,
      from,
      to: others,
      payload,
      chance,
      ttl: undefined,
      cancel: false,
    });
  }

  get accepted(): number {
    return this.letters.filter(({ accepted }) => accepted).length;
  }

  #note(
    parts: Pick<Letter, 'caller' | 'from' | 'to' | 'payload' | 'ttl' | 'cancel'> & {
      readonly chance: Seeded;
    },
  ): Letter {
    const { chance, ...rest } = parts;
    const turn = (this.#turns.get(rest.caller) ?? 0) + 1;
    this.#turns.set(rest.caller, turn);
    const id = Buffer.from(chance.bytes(16)).toString('hex');
    const letter = { ...rest, id, turn, digest: digestOf(rest.payload), accepted: false };
    this.letters.push(letter);
    return letter;
  }
}

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const LARGEST = 64 * 1024;

/** Most of them small; some of the largest that there may be. */
function sizeOf(chance: Seeded): number {
  const limit = chance.weighted({ '120': 60, '2000': 28, '16000': 8, [String(LARGEST)]: 4 });
  return chance.chance(0.1) ? Number(limit) : chance.below(Number(limit) + 1);
}
