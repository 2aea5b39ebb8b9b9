/** `npm run man`: writes docs/man/mesh.1 from the compiled tree of commands. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { manualPage } from '../dist/drivers/cli/man.js';
import { wholeTree } from '../dist/drivers/cli/program.js';

const folder = fileURLToPath(new URL('../docs/man/', import.meta.url));
mkdirSync(folder, { recursive: true });
writeFileSync(`${folder}mesh.1`, manualPage(await wholeTree()));
