import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homeAt, wipeHome } from '../../../src/drivers/node/home.ts';
import { temporaryDirectory } from '../../support/home.ts';

let base: string;
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(() => rm(base, { recursive: true, force: true }));

/** Each of them is left where a process is killed at the right moment; see home.ts. */
const LEFT_BEHIND = [
  'lock',
  'lock.4711',
  'lock.4711.stale',
  'header.new',
  'anchor.new',
  'creating',
  'socket',
];

test('wiping a home takes what an interruption left there, and nothing that is somebody else’s', async () => {
  const others = ['notes.txt', 'locksmith', 'lock.of.mine', 'bulky'];
  for (const name of ['header', 'anchor', ...LEFT_BEHIND, ...others]) await writeFile(join(base, name), '');
  for (const name of ['db', 'db.before', 'db.failed', 'bulk']) await mkdir(join(base, name));
  await writeFile(join(base, 'bulk', '000001'), '');
  await wipeHome(homeAt(base));
  expect((await readdir(base)).sort()).toEqual([...others].sort());
});
