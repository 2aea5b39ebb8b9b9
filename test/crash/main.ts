/**
 * `npm run crash -- --rounds N [--seed S] [--first R]`: real daemons at a real broker, again and again in trouble, and
 * after each round a look at whether anything was lost, doubled or put out of order.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { compile } from '../process/mesh-process.ts';
import type { Finding } from './books.ts';
import { startBroker } from './broker.ts';
import { type Mesh, makeMesh } from './mesh.ts';
import { firstOfMesh, planRound } from './plan.ts';
import { readAgain } from './rest.ts';
import { playRound, tally } from './round.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '1' },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const number = (text: string): number => {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  say(`"${text}" is not a whole number from 1 on`);
  process.exit(2);
};
const rounds = number(values.rounds);
const seed = number(values.seed);
const first = number(values.first);
if (!hasMosquitto) {
  say(withoutMosquitto);
  process.exit(2);
}

const total = { kills: 0, messages: 0, rounds: 0 };
const findings: Finding[] = [];
const complaints: string[] = [];
/** With which codes processes have ended by themselves, and how deliveries have ended. */
const ends = new Map<string, number>();
const states = new Map<string, number>();
let statesNow: ReadonlyMap<string, number> = new Map();
const startedAt = performance.now();
const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1);

/** By somebody at the terminal, whose signal all processes have got: how they end says nothing then. */
let interrupted = false;
const complain = (text: string): void => {
  if (!interrupted) complaints.push(text);
};
const complainOf = (error: unknown): void =>
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
  });
}

await compile();
const dir = await mkdtemp(join(tmpdir(), 'mesh-crash-'));
const broker = await startBroker(dir);
let mesh: Mesh | undefined;
let round = first;

const failed = (): boolean => findings.length + complaints.length > 0;

/** Whatever has gone wrong: no process and no mount of it stays. What is on its disks does, if anything went wrong. */
async function endMesh(): Promise<void> {
  const ending = mesh;
  mesh = undefined;
  if (ending === undefined) return;
  total.messages += ending.ledger.accepted;
  for (const { station } of ending.members) tally(station.ends, ends);
  for (const [state, times] of statesNow) states.set(state, (states.get(state) ?? 0) + times);
  statesNow = new Map();
  try {
    if (!failed() && !interrupted) for (const member of ending.members) await readAgain(member);
  } catch (error) {
    complainOf(error);
  } finally {
    await ending.end(failed());
  }
}

try {
  for (let next = first; next < first + rounds && !failed() && !interrupted; next++) {
    if (firstOfMesh(next, first) === next) {
      await endMesh();
      if (failed()) break;
    }
    round = next;
    mesh ??= await makeMesh(join(dir, `mesh-${round}`), broker, complain);
    const since = performance.now();
    const before = mesh.ledger.accepted;
    const plan = planRound(seed, round);
    const outcome = await playRound(mesh, plan);
    total.kills += outcome.kills;
    total.rounds++;
    findings.push(...outcome.findings);
    statesNow = outcome.states;
    const names = plan.troubles.map(({ name }) => name).join(', ');
    const messages = mesh.ledger.accepted - before;
    const how = failed() ? 'FAILED' : 'clean';
    say(
      `round ${round}: ${how}, ${outcome.kills} kills, ${messages} messages, ${seconds(since)} s, at rest after ${outcome.rest.toFixed(1)} s (${names})`,
    );
  }
} catch (error) {
  complainOf(error);
} finally {
  await endMesh();
  await broker.stop();
}

const count = (fault: string): number => findings.filter((one) => one.fault === fault).length;
for (const { fault, text } of findings.slice(0, 20)) say(`  ${fault}: ${text}`);
for (const text of complaints.slice(0, 20)) say(`  ${text}`);
if (failed()) {
  const from = firstOfMesh(round, first);
  say(`  what it left is in ${dir}`);
  say(`  again: npm run crash -- --seed ${seed} --first ${from} --rounds ${round - from + 1}`);
} else await rm(dir, { recursive: true, force: true });
const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([word, times]) => `${times} ${word}`).join(', ') || 'none';
say(`deliveries: ${listed(states)}; processes that ended by themselves: ${listed(ends)}`);
say(
  `${total.rounds} rounds, ${total.kills} kills, ${total.messages} messages, ${count('lost')} lost, ${count('doubled')} doubled` +
    `${failed() ? `, ${findings.length + complaints.length} findings in all` : ''} in ${seconds(startedAt)} s`,
);
process.exit(failed() || interrupted ? 1 : 0);
