/** Writes the vectors of the wire format anew: `node scripts/run.mjs test/vectors/make.ts`. */
import { writeFileSync } from 'node:fs';
import { wireVectors } from '../wire-vectors/files.ts';

for (const [name, text] of Object.entries(wireVectors())) writeFileSync(`test/vectors/${name}`, text);
