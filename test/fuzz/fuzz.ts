/**
 * The loop. An input that touches something for the first time is kept, and the next inputs are made from what
 * is kept; so the corpus works its way into the code branch by branch. How it goes follows from the seed, the
 * number of executions and the inputs it begins with; the clock only says when it is over.
 */
import { concat } from '../../src/entities/bytes.ts';
import { Seeded } from '../simulation/seeded.ts';
import type { Coverage, Wish } from './coverage.ts';
import { type Finding, judge, judgeMemory, judgeRetention, sortOf } from './judge.ts';
import { minimise } from './minimise.ts';
import { mutate } from './mutate.ts';
import type { Target } from './target.ts';

export interface Campaign {
  readonly seed: number;
  /** Called now and then; true ends the campaign. */
  readonly isOver: (executions: number) => boolean;
  /** Where it begins, besides the seeds of the target. */
  readonly corpus?: readonly Uint8Array[];
  /** False for a comparison: inputs are made from the first ones only, whatever they touch. */
  readonly guided?: boolean;
  readonly found?: (found: Found) => void;
}

export interface Found extends Finding {
  readonly input: Uint8Array;
  /** How many inputs had been tried. */
  readonly after: number;
}

export interface Outcome {
  readonly executions: number;
  readonly features: number;
  readonly findings: readonly Found[];
  /** The smallest inputs that together touch all that was touched. */
  readonly corpus: readonly Uint8Array[];
}

interface Kept {
  readonly input: Uint8Array;
  readonly touched: readonly number[];
  readonly wishes: readonly Wish[];
  /** How often other inputs were made from it. */
  uses: number;
}

const MOST_FINDINGS = 20;
const MOST_TRIMS = 64;

export async function fuzz(target: Target, coverage: Coverage, campaign: Campaign): Promise<Outcome> {
  const random = new Seeded(campaign.seed);
  const findings = new Map<string, Found>();
  const corpus: Kept[] = [];
  /** For each feature the smallest input that has it. */
  const best = new Map<number, Kept>();
  let favoured: Kept[] = [];
  let executions = 0;

  const note = async (input: Uint8Array, finding: Finding): Promise<void> => {
    const sort = sortOf(finding);
    if (findings.has(sort) || findings.size >= MOST_FINDINGS) return;
    const smallest = await minimise(input, target.form, async (candidate) => {
      const again = await judge(target, candidate);
      return again !== undefined && sortOf(again) === sort;
    });
    const found: Found = { ...finding, input: smallest, after: executions };
    findings.set(sort, found);
    campaign.found?.(found);
  };

  const keep = (input: Uint8Array, touched: readonly number[], wishes: readonly Wish[]): void => {
    const kept: Kept = { input, touched, wishes, uses: 0 };
    corpus.push(kept);
    for (const feature of touched) {
      if ((best.get(feature)?.input.length ?? Number.POSITIVE_INFINITY) > input.length)
        best.set(feature, kept);
    }
    favoured = [...new Set(best.values())];
  };

  const run = async (input: Uint8Array, isSeed: boolean): Promise<void> => {
    coverage.clear();
    executions++;
    const finding = await judge(target, input);
    if (finding !== undefined) return note(input, finding);
    const isNew = coverage.isNew();
    if (!isNew && !(isSeed && corpus.length === 0)) return;
    if (!isSeed && campaign.guided === false) return;
    const touched = coverage.touched();
    const wishes = coverage.wishes();
    keep(isSeed ? input : await trim(input, touched), touched, wishes);
    const greedy = await judgeMemory(target, input);
    if (greedy !== undefined) await note(input, greedy);
  };

  /** Without the parts that change nothing of what it touches: the next changes are then more likely to matter. */
  const trim = async (input: Uint8Array, touched: readonly number[]): Promise<Uint8Array> => {
    let best = input;
    let tries = 0;
    for (let size = best.length >> 1; size > 0 && tries < MOST_TRIMS; size >>= 1) {
      for (let at = 0; at < best.length && tries < MOST_TRIMS; tries++) {
        const shorter = concat(best.subarray(0, at), best.subarray(at + size));
        coverage.clear();
        executions++;
        const isClean = (await judge(target, shorter)) === undefined;
        const now = coverage.touched();
        if (isClean && now.length === touched.length && now.every((one, i) => one === touched[i]))
          best = shorter;
        else at += size;
      }
    }
    return best;
  };

  for (const seed of [...target.seeds, ...(campaign.corpus ?? [])]) await run(seed, true);
  // What the seeds touch is where a blind campaign stands for ever.
  if (corpus.length === 0) keep(new Uint8Array(), [], []);
  while (!campaign.isOver(executions)) {
    const from = pick(random, corpus, favoured);
    const donor = random.pick(corpus);
    await run(mutate(from.input, donor.input, random, target, from.wishes), false);
  }
  const distilled = distil(corpus);
  const kept = await judgeRetention(target, distilled);
  if (kept !== undefined) {
    const found = { ...kept, input: new Uint8Array(), after: executions };
    findings.set(sortOf(kept), found);
    campaign.found?.(found);
  }
  return { executions, features: coverage.features, findings: [...findings.values()], corpus: distilled };
}

/**
 * Mostly one of those that are the smallest to do something, and of these one that was not used as often as others;
 * often one of the last that did something new.
 */
function pick(random: Seeded, corpus: readonly Kept[], favoured: readonly Kept[]): Kept {
  const among = random.chance(0.3)
    ? corpus.slice(-8)
    : random.chance(0.8) && favoured.length > 0
      ? favoured
      : corpus;
  const one = random.pick(among);
  const other = random.pick(among);
  const kept = one.uses <= other.uses ? one : other;
  kept.uses++;
  return kept;
}

/** The smallest first: each that touches what none before it did. */
function distil(corpus: readonly Kept[]): Uint8Array[] {
  const covered = new Set<number>();
  const chosen: Uint8Array[] = [];
  for (const { input, touched } of corpus.toSorted((a, b) => a.input.length - b.input.length)) {
    if (touched.every((feature) => covered.has(feature))) continue;
    for (const feature of touched) covered.add(feature);
    chosen.push(input);
  }
  return chosen;
}
