/**
 * `npm run build` and `npm ci` end with this: makes dist/bin/mesh.js, the program as it is started, from what the
 * compiler wrote. A command is over in a fraction of a second, and most of that went into finding, reading and
 * compiling some three hundred small files; here they are a few, each read when its command needs it.
 *
 * `node scripts/bundle.mjs DIRECTORY` writes it elsewhere below this repository.
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = resolve(process.argv[2] ?? join(root, 'dist', 'bin'));
const entry = join(root, 'dist', 'drivers', 'cli', 'mesh.js');

/**
 * The packages that a short command waits for, with all that they need themselves. The others read files beside
 * their own code, are not written as modules have to be, or are for a daemon, which starts once.
 */
const INSIDE = /^(?:commander|mqtt|@noble\/hashes|@scure\/base)(?:\/|$)/;
const isOurs = (importer) => !importer?.includes('/node_modules/');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const program = join(out, 'mesh.js');
const rolldown = await import('rolldown').catch(() => undefined);
if (rolldown === undefined) {
  // Not every platform has the bundler. The program is the same without it, and starts more slowly.
  const target = relative(out, entry).replaceAll('\\', '/');
  writeFileSync(program, `#!/usr/bin/env node\nimport './${target}';\n`);
} else {
  const bundle = await rolldown.rolldown({
    input: { mesh: entry },
    platform: 'node',
    // What is bundled is compiled already.
    tsconfig: false,
    external: (id, importer) => /^[@a-z]/.test(id) && isOurs(importer) && !INSIDE.test(id),
  });
  // Names stay, so that the trace of a defect can be read.
  const minify = { mangle: false, compress: true, codegen: { removeWhitespace: true } };
  await bundle.write({ dir: out, format: 'esm', minify, chunkFileNames: 'chunk-[hash].js' });
  await bundle.close();
}
chmodSync(program, 0o755);
