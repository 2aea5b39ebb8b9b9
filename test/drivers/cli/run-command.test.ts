import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { commandRunner } from '../../../src/drivers/cli/run-command.ts';
import { temporaryDirectory } from '../../support/home.ts';

let dir: string;
let told: string;
beforeEach(async () => {
  dir = await temporaryDirectory();
  told = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

const message = { id: 'ab', from: 'someone', type: 'text/plain', thread: null, group: null, text: 'hello' };
const lines = async (name: string): Promise<string[]> =>
  (await readFile(join(dir, name), 'utf8')).trim().split('\n');

test('a command that fails is tried again, each time after twice the pause', async () => {
  const log = join(dir, 'log');
  const command = `echo once >> ${log}; [ "$(wc -l < ${log})" -eq 4 ] || exit 7`;
  const troubles: [number, string][] = [];
  const times: number[] = [];
  const run = commandRunner(command, { home: dir, json: false });
  await run(message, (attempts, error) => {
    troubles.push([attempts, error]);
    times.push(performance.now());
  });
  times.push(performance.now());
  expect(await lines('log')).toHaveLength(4);
  expect(troubles).toEqual([1, 2, 3].map((attempts) => [attempts, 'ended with 7']));
  expect(told.split('\n').slice(0, -1)).toEqual(
    Array.from({ length: 3 }, () => 'mesh: the command ended with 7; trying again'),
  );
  const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  [100, 200, 400].forEach((least, i) => {
    expect(pauses[i]).toBeGreaterThanOrEqual(least - 5);
    expect(pauses[i]).toBeLessThan(least + 1000);
  });
});

test('a command gets the message and the home, what its person set, and not where the keys are', async () => {
  vi.stubEnv('MESH_KEY_FILE', '/secret/key');
  vi.stubEnv('MESH_PASSPHRASE_FILE', '/secret/passphrase');
  vi.stubEnv('CREDENTIALS_DIRECTORY', '/run/credentials/mine');
  vi.stubEnv('MESH_THREAD', 'of another message');
  const run = commandRunner(`env > ${join(dir, 'env')}; cat > ${join(dir, 'in')}`, {
    home: dir,
    json: false,
  });
  await run(message, () => undefined);
  const env = await lines('env');
  expect(await lines('in')).toEqual(['hello']);
  expect(env.filter((line) => /^(MESH_|CREDENTIALS_)/.test(line)).sort()).toEqual([
    'CREDENTIALS_DIRECTORY=/run/credentials/mine',
    'MESH_FROM=someone',
    'MESH_GROUP=',
    `MESH_HOME=${dir}`,
    'MESH_ID=ab',
    'MESH_THREAD=',
    'MESH_TYPE=text/plain',
  ]);
});
