/** Until everything has come to rest; and then what each device says of what it has, and of what it has sent. */
import { setTimeout as pause } from 'node:timers/promises';
import { isObject, type Json } from '../../src/adapters/rpc/protocol.ts';
import type { Seeded } from '../simulation/seeded.ts';
import type { Arrived, Outcome } from './books.ts';
import { digestOf, type Letter } from './ledger.ts';
import type { Member, Mesh } from './mesh.ts';
import type { Station } from './station.ts';

/** Far longer than it should take: a message that is not there by then is one that does not come. */
const PATIENCE = 60_000;
const CURSOR = 'the campaign';

/** Each device says a last word to all others, behind everything else, and hears theirs. */
export async function comeToRest(mesh: Mesh, chance: Seeded): Promise<readonly Letter[]> {
  for (const { keeper } of mesh.members) keeper.start();
  const marks = mesh.members.map(({ station }) =>
    mesh.ledger.mark(station.id, mesh.othersOf(station), chance),
  );
  const deadline = performance.now() + PATIENCE;
  await Promise.all(mesh.members.map(({ station }, i) => saidToAll(mesh, station, marks[i], deadline)));
  return marks;
}

async function saidToAll(
  { broker }: Mesh,
  station: Station,
  mark: Letter | undefined,
  deadline: number,
): Promise<void> {
  if (mark === undefined) throw new Error('a device without a last word');
  const params = {
    target: 'all',
    text: new TextDecoder().decode(mark.payload),
    id: mark.id,
    wait: 'delivered',
    timeout: 1500,
  };
  let last: unknown;
  while (performance.now() < deadline) {
    const client = await station.clientWithin(1000);
    if (client === undefined) continue;
    try {
      const status = await client.call('status');
      if (!isObject(status) || !isObject(status.broker)) throw new Error('a status without a broker');
      // By itself it would wait longer after each loss of the broker, up to a minute.
      if (status.broker.connected !== true)
        await client.call('config.set', { key: 'broker', value: broker.url });
      const result = await client.call('send', params);
      last = result;
      if (isObject(result)) mark.accepted = true;
      if (isObject(result) && result.standing === 'reached') return;
    } catch (error) {
      last = error;
      await pause(50);
    } finally {
      client.close();
    }
  }
  station.complain(`its last word is not delivered after ${PATIENCE / 1000} s: ${JSON.stringify(last)}`);
}

/** Reads on from where it stopped, up to the last words of all others. */
export async function readInbox({ station, inbox }: Member, marks: readonly Letter[]): Promise<void> {
  const missing = new Set(marks.flatMap(({ id, to }) => (to.includes(station.id) ? id : [])));
  await readMessages(station, CURSOR, (message) => {
    inbox.push(message);
    missing.delete(message.id);
    return missing.size === 0;
  });
  if (missing.size > 0) station.complain(`${missing.size} last words are not in its inbox`);
}

/** The whole inbox once more, for a reader who was never there: it has to be what the other one was handed. */
export async function readAgain({ station, inbox }: Member): Promise<void> {
  const again: Arrived[] = [];
  await readMessages(
    station,
    `another ${performance.now()}`,
    (message) => again.push(message) >= inbox.length,
  );
  const differs = inbox.findIndex(({ id, digest }, i) => again[i]?.id !== id || again[i]?.digest !== digest);
  if (differs >= 0 || again.length !== inbox.length) {
    station.complain(
      `its inbox read again is another one: ${again.length} messages, the first odd one at ${differs}`,
    );
  }
}

const READING = 20_000;
/** What stands right behind the end shall be seen as well. */
const LINGER = 30;

async function readMessages(
  station: Station,
  cursor: string,
  take: (message: Arrived) => boolean,
): Promise<void> {
  let over: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  let moved: Promise<unknown> = Promise.resolve();
  const client = await station.client((method, { subscription, number, message }) => {
    if (method !== 'message' || subscription === undefined || number === undefined) return;
    if (!isObject(message)) throw new Error('a message that is none');
    const isLast = take(arrivedIn(message));
    moved = client.call('listen.done', { subscription, number });
    moved.catch(() => undefined);
    if (isLast) over();
  });
  try {
    await client.call('listen', { cursor });
    await Promise.race([ended, pause(READING, undefined, { ref: false })]);
    await pause(LINGER);
    await moved;
  } finally {
    client.close();
  }
}

function arrivedIn(message: Readonly<Record<string, Json | undefined>>): Arrived {
  const { id, from, seq, text, data } = message;
  const payload = typeof text === 'string' ? Buffer.from(text) : Buffer.from(String(data), 'base64');
  return { id: String(id), from: String(from), number: Number(seq), digest: digestOf(payload) };
}

export type Outcomes = Map<string, Map<string, Outcome>>;

/** What the senders report. */
export async function outcomesAt(members: readonly Member[]): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  for (const { station } of members) {
    const { events } = await station.run('command', ['outbox', '--all']);
    for (const { id, to } of events) {
      if (!Array.isArray(to)) continue;
      const each = to.map((one): [string, Outcome] => [
        String(one.deviceId),
        { state: String(one.state), mayHaveArrived: one.mayHaveArrived === true },
      ]);
      outcomes.set(String(id), new Map(each));
    }
  }
  return outcomes;
}

/** Broken only where somebody lies or was put back to an older state, and here nobody is. */
const SIGNS = [
  'batch-conflict',
  'mac-wrong',
  'signature-wrong',
  'undecryptable',
  'context-mismatch',
  'attachment-mismatch',
  'secret-mismatch',
  'quarantined',
];

/** A device that is behind what it had acknowledged, or believes that of another one, has noted it. */
export async function lookForIncidents({ station }: Member): Promise<void> {
  const client = await station.client();
  const status = await client.call('status');
  client.close();
  if (!isObject(status) || !isObject(status.refused) || !Array.isArray(status.incidents)) {
    throw new Error('a status without incidents');
  }
  if (status.incidents.length > 0) station.complain(`it notes ${JSON.stringify(status.incidents)}`);
  const { refused } = status;
  const seen = SIGNS.filter((code) => refused[code] !== undefined);
  if (seen.length > 0) station.complain(`it has refused what an honest peer has sent: ${seen.join(', ')}`);
}
