/**
 * `npm run fuzz -- --time T [--runs N] [--target NAME] [--seed S] [--keep]`: T for each target, as 30s or 10m. With
 * `--runs` the number of executions ends it, and the same seed does the same again. `--keep` puts the inputs that
 * were worth keeping into `test/fuzz/corpus`; findings go there anyway. `--repeat FILE` looks at one input.
 *
 * For comparison: `--bare` begins with the first seed of the target and no corpus, `--blind` keeps nothing that it
 * comes upon.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { readCorpus, replaceCorpus, writeFinding } from './corpus-files.ts';
import { watch } from './coverage.ts';
import { fuzz } from './fuzz.ts';
import { judgeMemory } from './judge.ts';
import type { Target } from './target.ts';
import { allTargets } from './targets.ts';

const [root = '.', ...args] = process.argv.slice(2);
const { values } = parseArgs({
  args,
  options: {
    time: { type: 'string', default: '30s' },
    runs: { type: 'string' },
    target: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    bare: { type: 'boolean', default: false },
    blind: { type: 'boolean', default: false },
    repeat: { type: 'string' },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function milliseconds(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})(s|m|h)$/.exec(text) ?? [];
  const time = Number(number) * ({ s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? Number.NaN);
  if (!(time > 0)) throw new Error(`"${text}" is no time such as 30s or 10m`);
  return time;
}

const all = allTargets(root);
const unknown = (values.target ?? []).find((name) => all.every((target) => target.name !== name));
if (unknown !== undefined) {
  say(`there is no target "${unknown}", but ${all.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const failed = values.repeat === undefined ? await campaigns() : await repeat(values.repeat);
process.exit(failed === 0 ? 0 : 1);

async function campaigns(): Promise<number> {
  const began = performance.now();
  const chosen = all.filter(({ name }) => values.target?.includes(name) ?? true);
  let findings = 0;
  for (const target of chosen) findings += await campaign(target);
  const seconds = Math.round((performance.now() - began) / 1000);
  say(`${chosen.length} targets, ${findings} findings, ${seconds} s`);
  return findings;
}

async function campaign(target: Target): Promise<number> {
  const coverage = watch((path) => target.watched.some((beginning) => path.startsWith(beginning)));
  const limit = values.runs === undefined ? milliseconds(values.time) : Number.POSITIVE_INFINITY;
  const runs = values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs);
  const began = performance.now();
  const start = values.bare ? { ...target, seeds: target.seeds.slice(0, 1) } : target;
  const outcome = await fuzz(start, coverage, {
    seed: Number(values.seed),
    isOver: (executions) => executions >= runs || performance.now() - began > limit,
    corpus: values.blind || values.bare ? [] : readCorpus(root, target.name).map(({ input }) => input),
    guided: !values.blind,
    found: ({ kind, detail, input, after }) => {
      const path = writeFinding(root, target.name, input);
      say(`FOUND ${target.name}: ${kind}, after ${after} executions, ${input.length} bytes\n  ${detail}`);
      say(`  again: npm run fuzz -- --repeat ${path}`);
    },
  });
  const seconds = (performance.now() - began) / 1000;
  const rate = Math.round(outcome.executions / seconds);
  const kept = values.keep ? replaceCorpus(root, target.name, outcome.corpus) : 0;
  say(
    `${target.name}: ${outcome.executions} executions in ${Math.round(seconds)} s (${rate}/s), ` +
      `${outcome.features} features of ${coverage.counters} counters, corpus ${outcome.corpus.length}` +
      `${values.keep ? ` (${kept} kept)` : ''}, ${outcome.findings.length} findings`,
  );
  return outcome.findings.length;
}

/** The folder of a file says which target it is for. */
async function repeat(path: string): Promise<number> {
  const name = basename(dirname(path));
  const target = all.find((one) => one.name === name);
  if (target === undefined) throw new Error(`${path} does not lie in the folder of a target`);
  const finding = await judgeMemory(target, new Uint8Array(readFileSync(path)));
  say(finding === undefined ? `${name}: clean` : `${name}: ${finding.kind}\n  ${finding.detail}`);
  return finding === undefined ? 0 : 1;
}
