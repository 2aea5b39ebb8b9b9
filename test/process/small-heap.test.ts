/** In processes of its own: what it sets holds for the whole of one. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { compile } from './mesh-process.ts';

const SMALL_HEAP = pathToFileURL(join(import.meta.dirname, '../../dist/drivers/node/small-heap.js')).href;
const BUSY = `
  import { getHeapSpaceStatistics } from 'node:v8';
  const kept = [];
  for (let i = 0; i < 1_000_000; i++) {
    kept.push({ i, list: [i] });
    if (kept.length > 50_000) kept.length = 0;
    if (i % 2000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const of = (name) => getHeapSpaceStatistics().find(({ space_name }) => space_name === name).space_size;
  console.log(JSON.stringify({ young: of('new_space') }));
`;

beforeAll(compile, 120_000);

async function young(before: string): Promise<number> {
  const args = ['--input-type=module', '-e', before + BUSY];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout).young;
}

test('a daemon that was busy keeps little room for what is new', async () => {
  const small = await young(`import { keepHeapSmall } from '${SMALL_HEAP}'; keepHeapSmall();`);
  expect(small * 1.5).toBeLessThan(await young(''));
});
