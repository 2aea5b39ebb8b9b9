/**
 * Runs a TypeScript program of this repository: `node scripts/run.mjs test/simulation/main.ts --seeds 5`.
 * Node 20 does not run TypeScript by itself, so the program is bundled first, its packages left outside.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const [entry, ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'dist', 'programs');
mkdirSync(out, { recursive: true });
const name = entry.replaceAll('/', '-').replace(/\.ts$/, '');
const bundle = await rolldown({
  input: entry,
  platform: 'node',
  external: (id) => /^[@a-z]/.test(id) && !id.startsWith(root),
});
await bundle.write({ file: join(out, `${name}.mjs`), format: 'esm', sourcemap: true, codeSplitting: false });
await bundle.close();
const child = spawn(process.execPath, ['--enable-source-maps', join(out, `${name}.mjs`), ...args], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
