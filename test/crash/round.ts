/** One round: callers send, things go wrong, everything comes to rest, and the books are audited. */
import { setTimeout as pause } from 'node:timers/promises';
import { Seeded } from '../simulation/seeded.ts';
import { audit, type Finding } from './books.ts';
import { programCalls, scriptCalls } from './callers.ts';
import type { Mesh } from './mesh.ts';
import type { RoundPlan } from './plan.ts';
import { comeToRest, lookForIncidents, outcomesAt, readInbox } from './rest.ts';
import { troubles } from './troubles/all.ts';

/** After the troubles, for what they leave behind to meet new messages. */
const AFTERWARDS = 150;
const PATIENCE_WITH_CALLERS = 45_000;

export interface Outcome {
  readonly kills: number;
  /** Seconds from the last call to the last word at everybody. */
  readonly rest: number;
  /** Of the whole mesh so far. */
  readonly findings: readonly Finding[];
  /** The same: how many deliveries their senders report in each state. */
  readonly states: ReadonlyMap<string, number>;
}

export async function playRound(mesh: Mesh, plan: RoundPlan): Promise<Outcome> {
  const chance = new Seeded(plan.seed);
  const cron = plan.cron ? mesh.members.at(-1) : undefined;
  let kills = (await cron?.keeper.rest()) ?? 0;

  let stopped = false;
  const callers = mesh.members.flatMap(({ station }) => {
    const parts = { station, others: mesh.othersOf(station), ledger: mesh.ledger, stopped: () => stopped };
    const script = scriptCalls({ ...parts, chance: new Seeded(chance.word()) });
    return [script, programCalls({ ...parts, chance: new Seeded(chance.word()) })];
  });
  const sending = Promise.all(callers);
  // Where something else fails first, that is what is told.
  sending.catch(() => undefined);

  const happening = plan.troubles.map(async ({ name, device, after, seed }) => {
    const member = mesh.members[device];
    if (member === undefined) throw new Error('a trouble for nobody');
    await pause(after);
    return troubles[name]({ mesh, member, chance: new Seeded(seed) });
  });
  try {
    for (const count of await Promise.all(happening)) kills += count;
    await pause(AFTERWARDS);
  } finally {
    stopped = true;
    // Whoever still waits for an answer would otherwise have nobody to ask.
    cron?.keeper.start();
  }
  if (!(await inTime(sending))) {
    const stations = mesh.members.map(({ station }) => station.describe());
    throw new Error(`callers have had no answer for long\n${stations.join('\n')}`);
  }

  const since = performance.now();
  const marks = await comeToRest(mesh, chance);
  const rest = (performance.now() - since) / 1000;
  for (const member of mesh.members) await readInbox(member, marks);
  const outcomes = await outcomesAt(mesh.members);
  for (const member of mesh.members) await lookForIncidents(member);
  const inboxes = new Map(mesh.members.map(({ station, inbox }) => [station.id, inbox]));
  const findings = audit({ sent: mesh.ledger.letters, inboxes, outcomes });
  const states = tally(
    [...outcomes.values()].flatMap((each) => [...each.values()]).map(({ state }) => state),
  );
  return { kills, rest, findings, states };
}

/** How often each of them is there. */
export function tally(words: readonly string[], into = new Map<string, number>()): Map<string, number> {
  for (const word of words) into.set(word, (into.get(word) ?? 0) + 1);
  return into;
}

async function inTime(work: Promise<unknown>): Promise<boolean> {
  const late = pause(PATIENCE_WITH_CALLERS, 'late', { ref: false });
  return (await Promise.race([work, late])) !== 'late';
}
