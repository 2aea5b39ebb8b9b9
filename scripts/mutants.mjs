/**
 * `npm run mutants [-- NAME…]`: shows that the simulator can find something. Each patch of test/mutants breaks one
 * rule of the product in a temporary copy; the simulator must fail within 50 seeds, and the seed is printed. A
 * patch that no longer applies, and a mutant that nobody notices, are both red.
 *
 * The first line of a patch says what it breaks. A second one, `with: …`, has options for the simulator.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SEEDS = 50;
/** All that the simulator is built from. */
const PARTS = [
  ...['src', 'scripts', 'test/simulation', 'test/support', 'test/entities/roster', 'test/tsconfig.json'],
  ...readdirSync(fileURLToPath(new URL('..', import.meta.url))).filter((name) => name.endsWith('.json')),
];
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test', 'mutants');
const wanted = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.patch'))
  .map((name) => name.slice(0, -'.patch'.length))
  .filter((name) => wanted.length === 0 || wanted.includes(name));

// Each by itself, seed after seed, so that the first that finds it is the same one every time.
let red = 0;
const waiting = [...names];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await examine(name);
  }),
);
console.log(`${names.length - red} passed, ${red} failed`);
process.exit(red === 0 && names.length > 0 ? 0 : 1);

async function examine(name) {
  const patch = join(folder, `${name}.patch`);
  const [why, second] = readFileSync(patch, 'utf8').split('\n');
  const options = second.startsWith('with: ') ? second.slice('with: '.length).split(' ') : [];
  const copy = copyTree();
  try {
    const outcome = await tryMutant(copy, patch, options);
    if (!outcome.found) red++;
    console.log(`${outcome.found ? 'found' : 'NOT FOUND'}  ${name}: ${why}\n    ${outcome.how}`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The working tree, as far as the simulator needs it. */
function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), 'mesh-mutant-'));
  for (const part of PARTS) cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

async function tryMutant(copy, patch, options) {
  const applied = await run('git', ['apply', patch], copy);
  if (applied.status !== 0) return { found: false, how: `the patch does not apply: ${applied.text.trim()}` };
  const settings = ['--seeds', String(SEEDS), '--stop-at-first', '--workers', '1', ...options];
  const args = ['scripts/run.mjs', 'test/simulation/main.ts', ...settings];
  const { status, text } = await run(process.execPath, args, copy);
  const lines = text.split('\n');
  const at = lines.findIndex((line) => /^seed \d+: FAILED/.test(line));
  if (at < 0) {
    const end = text.trim().split('\n').slice(0, 12).join(' | ');
    return {
      found: false,
      how: status === 0 ? `clean in ${SEEDS} seeds` : `the simulator did not run: ${end}`,
    };
  }
  const seed = /^seed (\d+)/.exec(lines[at] ?? '')?.[1];
  return { found: true, how: `seed ${seed}: ${lines[at + 1]?.trim()}` };
}

/** Resolves with all that a program has said. */
function run(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    child.stdout.on('data', (bytes) => said.push(bytes));
    child.stderr.on('data', (bytes) => said.push(bytes));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, text: Buffer.concat(said).toString('utf8') }));
  });
}
