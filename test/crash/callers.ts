/**
 * Those who send while everything goes wrong. Each gives its messages ids of its own, so where an answer is lost it says
 * the same again, and goes on only when it was told that the message is accepted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { RpcClient } from '../../src/adapters/rpc/client.ts';
import { isObject } from '../../src/adapters/rpc/protocol.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { Seeded } from '../simulation/seeded.ts';
import type { Ledger, Letter } from './ledger.ts';
import type { Station } from './station.ts';
import { allowsAnswer } from './verdict.ts';

export interface CallerParts {
  readonly station: Station;
  readonly others: readonly DeviceId[];
  readonly ledger: Ledger;
  readonly chance: Seeded;
  /** Nothing new is to be begun any more. */
  readonly stopped: () => boolean;
}

const ALL = 'all';
const targetOf = ({ to }: Letter, others: readonly DeviceId[]): string =>
  to.length === others.length ? ALL : String(to[0]);

/** A shell script: one command after the other. */
export async function scriptCalls({ station, others, ledger, chance, stopped }: CallerParts): Promise<void> {
  while (!stopped()) {
    const letter = ledger.write(`the script on ${station.place.name}`, station.id, others, chance);
    const options = ['--id', letter.id, '--wait', 'accepted'];
    if (letter.ttl !== undefined) options.push('--ttl', `${letter.ttl}ms`);
    const args = ['send', targetOf(letter, others), '-', ...options];
    const again = chance.chance(0.1);
    while (!letter.accepted) {
      const { events } = await station.run('command', args, { input: letter.payload });
      letter.accepted = events.some(({ event, id }) => event === 'sent' && id === letter.id);
      if (!letter.accepted) await pause(50);
    }
    // Who forgot whether it was told says it once more.
    if (again) await station.run('command', args, { input: letter.payload });
    if (letter.cancel) await station.run('command', ['cancel', letter.id]);
  }
}

const TOGETHER = 12;

/** A program that keeps a connection, and has several messages under way. */
export async function programCalls(parts: CallerParts): Promise<void> {
  const { station, others, ledger, chance, stopped } = parts;
  const unanswered: Letter[] = [];
  while (!stopped() || unanswered.length > 0) {
    const client = await station.clientWithin(1000);
    if (client === undefined) continue;
    const since = performance.now();
    try {
      while (!stopped() || unanswered.length > 0) {
        const more = stopped() ? 0 : 1 + chance.below(TOGETHER) - unanswered.length;
        for (let i = 0; i < more; i++) {
          unanswered.push(ledger.write(`the program on ${station.place.name}`, station.id, others, chance));
        }
        const error = await sendTogether(client, unanswered, others);
        if (error !== undefined) throw error;
        await pause(chance.below(120));
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
      if (!allowsAnswer(code, station.disk.since(since)))
        station.complain(`"send" was answered with ${error}`);
      await pause(50);
    } finally {
      client.close();
    }
  }
}

/** They are accepted in the order of asking: what is answered without a gap is done with. */
async function sendTogether(
  client: RpcClient,
  letters: Letter[],
  others: readonly DeviceId[],
): Promise<unknown> {
  const calls = letters.map((letter) =>
    client.call('send', {
      target: targetOf(letter, others),
      data: Buffer.from(letter.payload).toString('base64'),
      id: letter.id,
      wait: 'accepted',
      ttl: letter.ttl,
    }),
  );
  for (const outcome of await Promise.allSettled(calls)) {
    if (outcome.status === 'rejected') return outcome.reason;
    const [letter] = letters;
    if (letter === undefined || !isObject(outcome.value) || outcome.value.id !== letter.id) {
      return new Error('an answer to something else');
    }
    letter.accepted = true;
    letters.shift();
    // Too late, mostly; whatever comes of it, it is in the outbox.
    if (letter.cancel) client.call('cancel', { id: letter.id }).catch(() => undefined);
  }
  return undefined;
}
