/**
 * `npm run bench [-- --json] [--only WORD]`: one table, each figure beside its reference from the same run. Medians
 * over rounds; rounds of a row and its reference take turns, so a noisy machine hits both alike.
 */
import { parseArgs } from 'node:util';
import { engineRows } from './engine.ts';
import { print, type Row } from './rows.ts';
import { storeRows } from './store.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});

const rows: Row[] = [];
for (const [name, measure] of Object.entries({ engine: engineRows, store: storeRows })) {
  if (values.only !== undefined && !name.includes(values.only)) continue;
  rows.push(...(await measure()));
}
print(rows, values.json);
