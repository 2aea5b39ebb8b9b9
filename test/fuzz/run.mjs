/**
 * `npm run fuzz -- …`: bundles the fuzzer as `scripts/run.mjs` does, with a counter behind every statement and
 * branch of what stands in `src`, and runs it.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { transformSync } from 'rolldown/utils';
import { instrument } from './instrument.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = join(root, 'src/');

const counting = {
  name: 'counting',
  load(id) {
    if (!id.startsWith(sources) || !id.endsWith('.ts')) return null;
    const { code, errors } = transformSync(id, readFileSync(id, 'utf8'));
    if (errors.length > 0) throw errors[0];
    return { code: instrument(code, relative(root, id)), moduleType: 'js' };
  },
};

const file = join(root, 'dist', 'programs', 'fuzz.mjs');
const bundle = await rolldown({
  input: join(root, 'test/fuzz/main.ts'),
  platform: 'node',
  plugins: [counting],
  external: (id) => /^[@a-z]/.test(id) && !id.startsWith(root),
});
await bundle.write({ file, format: 'esm' });
await bundle.close();
const child = spawn(process.execPath, [file, root, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
