/**
 * A small store on disk, closed cleanly, and then everything that can happen to it: every byte of every file
 * flipped, every file cut at every length and deleted, every record exchanged for every other. What is read
 * afterwards is exactly what was written, or it ends in a typed error. Runs in the test's own process: should
 * the native code fall over it, the run falls with it.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyValue } from '../../../src/adapters/keystore/key-value.ts';
import { createSealedKeystore, openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { createKeystore, openKeystore } from '../../../src/drivers/node/open-keystore.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import type { Keystore } from '../../../src/usecases/ports/keystore.ts';
import { noSetting, setting } from '../../contracts/keystore.ts';
import { fastDirectory, imageOf, keyFileSecret } from '../../support/home.ts';
import { memoryStore, smallCheckpoints } from '../../support/keystore.ts';

const AT_ONCE = 4;
const unlock = keyFileSecret();
const expected: Record<string, string> = {};

let base: string;
let image: ReadonlyMap<string, Buffer>;

/** Two openings and several checkpoints, so that there is a table, a log, and commits of more than one epoch. */
async function writeHistory(open: (first: boolean) => Promise<Keystore>): Promise<void> {
  for (const first of [true, false]) {
    const keystore = await open(first);
    for (let i = 0; i < 4; i++) {
      const key = `${first ? 'a' : 'b'}${i}`;
      expected[key] = `value of ${key}`;
      await keystore.commit([setting(key, expected[key]), setting('latest', key), setting('passing', 'x')]);
      expected.latest = key;
    }
    await keystore.commit([noSetting('passing')]);
    await keystore.close();
  }
}

/** The code of the error, or that everything was right; that something was wrong is thrown. */
async function judged(open: () => Promise<Keystore>): Promise<string> {
  let keystore: Keystore;
  try {
    keystore = await open();
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  }
  try {
    expect([...keystore.keys('setting')].sort()).toEqual(Object.keys(expected).sort());
    for (const key of keystore.keys('setting')) {
      expect(await keystore.read('setting', key)).toBe(expected[key]);
    }
    return 'right';
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  } finally {
    await keystore.close().catch(() => undefined);
  }
}

async function judgedFiles(directory: string, name: string, bytes: Buffer | undefined): Promise<string> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, 'db'), { recursive: true, mode: 0o700 });
  for (const [file, content] of image) {
    const damaged = file === name ? bytes : content;
    if (damaged !== undefined) await writeFile(join(directory, file), damaged, { mode: 0o600 });
  }
  return judged(async () => (await openKeystore(directory, unlock, smallCheckpoints)).keystore);
}

/** Runs the trials a few at a time and counts how they ended. */
async function tally(
  trials: readonly (readonly [string, Buffer | undefined])[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let next = 0;
  const worker = async (number: number) => {
    for (let at = next++; at < trials.length; at = next++) {
      const [name, bytes] = trials[at] ?? ['', undefined];
      const outcome = await judgedFiles(join(base, `trial-${number}`), name, bytes).catch(
        (error: unknown) => {
          throw new Error(`trial ${at} on ${name}`, { cause: error });
        },
      );
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => worker(number)));
  return counts;
}

beforeAll(async () => {
  base = await fastDirectory();
  const home = join(base, 'home');
  await writeHistory(async (first) => {
    const open = first ? createKeystore : openKeystore;
    return (await open(home, unlock, smallCheckpoints)).keystore;
  });
  image = await imageOf(home);
});

afterAll(() => rm(base, { recursive: true, force: true }));

const knownCodes = [
  'right',
  'store-damaged',
  'store-rolled-back',
  'store-not-initialised',
  'store-wrong-secret',
];

describe('a damaged store on disk', () => {
  test('is made of every sort of file that Level has', () => {
    expect([...image.keys()].map((name) => name.replace(/\d{6}/, 'N')).sort()).toEqual([
      'anchor',
      'db/CURRENT',
      'db/MANIFEST-N',
      'db/N.ldb',
      'db/N.log',
      'header',
    ]);
  });

  test('whole, is right', async () => {
    expect(await judgedFiles(join(base, 'trial-0'), '', undefined)).toBe('right');
  });

  test('with any one byte flipped is right or an error', { timeout: 240_000 }, async () => {
    const trials: [string, Buffer][] = [];
    for (const [name, bytes] of image) {
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        trials.push([name, flipped]);
      }
    }
    const counts = await tally(trials);
    for (const outcome of counts.keys()) expect(knownCodes).toContain(outcome);
    // Most of what is on the disk matters: were nearly all "right", the flips would not have reached it.
    expect(counts.get('right') ?? 0).toBeLessThan(trials.length / 4);
  });

  test('with any file cut at any length, or gone, is right or an error', { timeout: 240_000 }, async () => {
    const trials: [string, Buffer | undefined][] = [];
    for (const [name, bytes] of image) {
      trials.push([name, undefined]);
      for (let length = 0; length < bytes.length; length++) trials.push([name, bytes.subarray(0, length)]);
    }
    const counts = await tally(trials);
    for (const outcome of counts.keys()) expect(knownCodes).toContain(outcome);
    expect(counts.get('right') ?? 0).toBeLessThan(20);
  });
});

describe('a database whose entries were exchanged, behind all checks of its own,', () => {
  let database: KeyValue;
  let names: Uint8Array[];
  let values: Uint8Array[];
  const store = memoryStore();

  beforeAll(async () => {
    database = await openLevel(join(base, 'exchanged'), { create: true });
    const parts = () => ({ ...store.parts(), database: { ...database, close: async () => undefined } });
    await writeHistory((first) =>
      (first ? createSealedKeystore : openSealedKeystore)(parts(), smallCheckpoints),
    );
    names = [];
    values = [];
    for (const prefix of ['c', 'd', 'r']) {
      for await (const { name, value } of database.entries(new TextEncoder().encode(prefix))) {
        names.push(name);
        values.push(value);
      }
    }
  });

  afterAll(() => database.close());

  const reopened = () =>
    judged(() =>
      openSealedKeystore(
        { ...store.parts(), database: { ...database, close: async () => undefined } },
        smallCheckpoints,
      ),
    );

  async function withEntry(index: number, value: Uint8Array | undefined): Promise<void> {
    const name = names[index] ?? new Uint8Array();
    await database.write([value === undefined ? { name, remove: true } : { name, put: value }]);
  }

  test('is an error for every pair of entries', { timeout: 60_000 }, async () => {
    expect(await reopened()).toBe('right');
    expect(names.length).toBeGreaterThan(12);
    for (let a = 0; a < names.length; a++) {
      for (let b = a + 1; b < names.length; b++) {
        await withEntry(a, values[b]);
        await withEntry(b, values[a]);
        expect([a, b, await reopened()]).toEqual([a, b, 'store-damaged']);
        await withEntry(a, values[a]);
        await withEntry(b, values[b]);
      }
    }
    expect(await reopened()).toBe('right');
  });

  test('is never silently shorter for an entry that is gone, empty, cut, longer or flipped', async () => {
    const lost: [string, string][] = [];
    for (let index = 0; index < names.length; index++) {
      const value = values[index] ?? new Uint8Array();
      const flips = Array.from({ length: value.length }, (_, at) =>
        value.map((byte, i) => (i === at ? byte ^ 4 : byte)),
      );
      const altered = [new Uint8Array(), value.subarray(0, -1), Uint8Array.of(...value, 0), ...flips];
      for (const bytes of altered) {
        await withEntry(index, bytes);
        expect([index, await reopened()]).toEqual([index, 'store-damaged']);
      }
      await withEntry(index, undefined);
      lost.push([String.fromCharCode(names[index]?.[0] ?? 0), await reopened()]);
      await withEntry(index, value);
    }
    // What may go without harm is history that a checkpoint has made superfluous, or a checkpoint whose commits
    // are all still there; never a record.
    for (const [letter, outcome] of lost) {
      expect(['store-damaged', 'store-rolled-back', ...(letter === 'r' ? [] : ['right'])]).toContain(outcome);
    }
  });
});
