/**
 * `npm run mutants [-- NAME…]`: shows that the simulator can find something. Each patch of test/mutants breaks one
 * rule of the product in a temporary copy; the simulator must fail within 50 seeds, and the seed is printed. A
 * patch that no longer applies, and a mutant that nobody notices, are both red.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SEEDS = 50;
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test', 'mutants');
const wanted = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.patch'))
  .map((name) => name.slice(0, -'.patch'.length))
  .filter((name) => wanted.length === 0 || wanted.includes(name));

let red = 0;
for (const name of names) {
  const patch = join(folder, `${name}.patch`);
  const [why] = readFileSync(patch, 'utf8').split('\n');
  const copy = copyTree();
  try {
    const outcome = tryMutant(copy, patch);
    if (!outcome.found) red++;
    console.log(`${outcome.found ? 'found' : 'NOT FOUND'}  ${name}: ${why}\n    ${outcome.how}`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
console.log(`${names.length - red} passed, ${red} failed`);
process.exit(red === 0 && names.length > 0 ? 0 : 1);

/** What git tracks, as it is in the working tree. */
function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), 'mesh-mutant-'));
  const files = execFileSync(
    'git',
    [
      'ls-files',
      '-z',
      'src',
      'test/simulation',
      'test/tsconfig.json',
      'scripts',
      'package.json',
      'tsconfig*.json',
    ],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  for (const file of files.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

function tryMutant(copy, patch) {
  const applied = spawnSync('git', ['apply', patch], { cwd: copy, encoding: 'utf8' });
  if (applied.status !== 0)
    return { found: false, how: `the patch does not apply: ${applied.stderr.trim()}` };
  const args = ['scripts/run.mjs', 'test/simulation/main.ts', '--seeds', String(SEEDS), '--stop-at-first'];
  const run = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const failures = run.stdout.split('\n').flatMap((line, i, lines) => {
    const seed = /^seed (\d+): FAILED/.exec(line)?.[1];
    return seed === undefined ? [] : [{ seed: Number(seed), problem: lines[i + 1]?.trim() }];
  });
  const [first] = failures.sort((a, b) => a.seed - b.seed);
  if (first === undefined) {
    const end = `${run.stdout}${run.stderr}`.trim().split('\n').slice(0, 12).join(' | ');
    return {
      found: false,
      how: run.status === 0 ? `clean in ${SEEDS} seeds` : `the simulator did not run: ${end}`,
    };
  }
  return { found: true, how: `seed ${first.seed}: ${first.problem}` };
}
