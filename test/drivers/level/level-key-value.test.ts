import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ForgetfulLevel } from '../../../src/adapters/memory/forgetful-level.ts';
import { levelKeyValue, openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { type KeyValueUnderTest, keyValueContract } from '../../contracts/key-value.ts';
import { codeOf } from '../../support/keystore.ts';

const made: string[] = [];
async function place(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mesh-level-'));
  made.push(directory);
  return join(directory, 'db');
}
afterAll(() => Promise.all(made.map((directory) => rm(directory, { recursive: true, force: true }))));

async function onDisk(path: string, create: boolean): Promise<KeyValueUnderTest> {
  const database = await openLevel(path, { create });
  return {
    database,
    losePower: async () => {
      await database.close();
      return onDisk(path, false);
    },
  };
}

function forgetful(level: ForgetfulLevel): KeyValueUnderTest {
  return {
    database: levelKeyValue(level),
    losePower: async () => {
      level.losePower();
      return forgetful(level);
    },
  };
}

keyValueContract('Level', async () => onDisk(await place(), true));
// A killed process proves nothing about syncing. Here a write that was not synced is gone.
keyValueContract('the Level driver over a database that forgets unsynced writes', async () =>
  forgetful(new ForgetfulLevel()),
);

describe('the Level driver', () => {
  test('says that a second opening finds it in use', async () => {
    const path = await place();
    const first = await openLevel(path, { create: true });
    expect(await codeOf(openLevel(path, { create: false }))).toBe('store-in-use');
    await first.close();
  });

  test('neither opens what is not there nor builds over what is', async () => {
    const path = await place();
    expect(await codeOf(openLevel(path, { create: false }))).toBe('store-damaged');
    const first = await openLevel(path, { create: true });
    await first.close();
    expect(await codeOf(openLevel(path, { create: true }))).toBe('store-damaged');
  });

  test.each([
    ['IO error: db/000005.log: No space left on device', 'LEVEL_IO_ERROR', 'store-full'],
    ['IO error: db/000005.log: Input/output error', 'LEVEL_IO_ERROR', 'store-write-failed'],
    ['Corruption: block checksum mismatch', 'LEVEL_CORRUPTION', 'store-damaged'],
    ['IO error: db/000007.ldb: Too many open files', 'LEVEL_IO_ERROR', 'store-unreadable'],
  ])('translates a failed write: %s', async (message, code, expected) => {
    const failing = new ForgetfulLevel();
    failing.batch = async () => {
      throw Object.assign(new Error('batch failed', { cause: Object.assign(new Error(message), { code }) }));
    };
    const write = levelKeyValue(failing).write([{ name: utf8('r'), put: utf8('x') }]);
    expect(await codeOf(write)).toBe(expected);
  });
});
