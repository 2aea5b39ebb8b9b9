/** `npm run simulate -- --seeds N --devices D --steps S [--first F] [--workers W] [--no-rollbacks] [--no-membership]` */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    devices: { type: 'string', default: '5' },
    steps: { type: 'string', default: '300' },
    first: { type: 'string', default: '1' },
    stride: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    'no-rollbacks': { type: 'boolean', default: false },
    'no-membership': { type: 'boolean', default: false },
    'stop-at-first': { type: 'boolean', default: false },
  },
});
const seeds = Number(values.seeds);
const devices = Number(values.devices);
const steps = Number(values.steps);
const first = Number(values.first);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function runSeeds(from: number, stride: number): Promise<number> {
  let failed = 0;
  for (let seed = from; seed < first + seeds; seed += stride) {
    const rollbacks = !values['no-rollbacks'];
    const membership = !values['no-membership'];
    const outcome = await simulate({ seed, devices, steps, rollbacks, membership });
    const numbers = `trace ${outcome.trace}, ${outcome.accepted} accepted, ${outcome.delivered} delivered, ${outcome.packets} packets`;
    if (outcome.problem === undefined) say(`seed ${seed}: clean, ${numbers}`);
    else {
      failed++;
      say(`seed ${seed}: FAILED, ${numbers}\n  ${outcome.problem}`);
      const options = `${rollbacks ? '' : ' --no-rollbacks'}${membership ? '' : ' --no-membership'}`;
      say(
        `  again: npm run simulate -- --seeds 1 --first ${seed} --devices ${devices} --steps ${steps}${options}`,
      );
      if (values['stop-at-first']) break;
    }
  }
  return failed;
}

if (values.stride !== undefined) {
  process.exit((await runSeeds(first, Number(values.stride))) === 0 ? 0 : 1);
} else {
  const workers = Math.max(1, Math.min(Number(values.workers), seeds));
  const startedAt = process.hrtime.bigint();
  let failed = 0;
  if (workers === 1) failed = await runSeeds(first, 1);
  else {
    const ends = Array.from({ length: workers }, (_, i) => worker(i, workers));
    failed = (await Promise.all(ends)).filter((code) => code !== 0).length;
  }
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  say(
    `${seeds} seeds, ${devices} devices, ${steps} steps: ${failed === 0 ? 'nothing found' : 'FAILED'} in ${seconds.toFixed(1)} s`,
  );
  process.exit(failed === 0 ? 0 : 1);
}

/** Every `stride`th seed in a process of its own. */
function worker(index: number, stride: number): Promise<number> {
  const own = [
    '--first',
    String(first + index),
    '--seeds',
    String(seeds - index),
    '--stride',
    String(stride),
  ];
  const rest = ['--devices', String(devices), '--steps', String(steps)];
  if (values['no-rollbacks']) rest.push('--no-rollbacks');
  if (values['no-membership']) rest.push('--no-membership');
  if (values['stop-at-first']) rest.push('--stop-at-first');
  const child = fork(fileURLToPath(import.meta.url), [...own, ...rest]);
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}
