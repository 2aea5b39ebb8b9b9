import { appendFile, mkdir, open, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KeyValue, Write } from '../../../src/adapters/keystore/key-value.ts';
import { ForgetfulLevel } from '../../../src/adapters/memory/forgetful-level.ts';
import { MemoryDisk } from '../../../src/adapters/memory/memory-key-value.ts';
import { SEGMENT_BYTES } from '../../../src/drivers/level/bulk-index.ts';
import { LARGE, WORTH_A_FLUSH, withBulk } from '../../../src/drivers/level/bulk-key-value.ts';
import { levelKeyValue, openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { createKeystore, openKeystore } from '../../../src/drivers/node/open-keystore.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { type KeyValueUnderTest, keyValueContract } from '../../contracts/key-value.ts';
import { setting } from '../../contracts/keystore.ts';
import { fastDirectory, imageOf, keyFileSecret } from '../../support/home.ts';
import { codeOf, settled } from '../../support/keystore.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

let base: string;
let bulk: string;
let made = 0;
const opened: KeyValue[] = [];
beforeEach(async () => {
  base = await fastDirectory();
  bulk = join(base, 'bulk');
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const database of opened.splice(0)) await database.close();
  await rm(base, { recursive: true, force: true });
});

async function beside(below: KeyValue, directory: string): Promise<KeyValue> {
  const database = await withBulk(below, directory);
  opened.push(database);
  return database;
}

async function onDisk(path: string, create: boolean): Promise<KeyValueUnderTest> {
  const database = await beside(await openLevel(join(path, 'db'), { create }), join(path, 'bulk'));
  return {
    database,
    losePower: async () => {
      await database.close();
      return onDisk(path, false);
    },
  };
}

async function forgetful(level: ForgetfulLevel, path: string): Promise<KeyValueUnderTest> {
  const database = await beside(levelKeyValue(level), join(path, 'bulk'));
  return {
    database,
    losePower: async () => {
      await database.close();
      return forgetful(level, path);
    },
  };
}

async function place(): Promise<string> {
  const path = join(base, `place-${made++}`);
  await mkdir(path);
  return path;
}

keyValueContract('Level with large values beside it', async () => onDisk(await place(), true));
keyValueContract('what has large values beside it, and forgets unsynced writes,', async () =>
  forgetful(new ForgetfulLevel(), await place()),
);

const named = (number: number | string): Uint8Array => utf8(`r${number}`);
/** Begins with its number, so that no other can be taken for it. */
function valued(number: number, size = 64 * KIB): Uint8Array {
  const value = new Uint8Array(size).fill(number);
  new DataView(value.buffer).setUint32(0, number);
  return value;
}
const put = (number: number, size?: number): Write => ({ name: named(number), put: valued(number, size) });
const remove = (number: number): Write => ({ name: named(number), remove: true });

/** The segments there are, with their sizes. */
async function segments(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of (await readdir(bulk)).sort()) found[name] = (await stat(join(bulk, name))).size;
  return found;
}

async function bytesOnDisk(): Promise<number> {
  return Object.values(await segments()).reduce((sum, size) => sum + size, 0);
}

/** Much faster than a comparison that could say where they differ. */
function expectSame(found: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  expect(found?.length).toBe(expected?.length);
  expect(Buffer.compare(found ?? Buffer.alloc(0), expected ?? Buffer.alloc(0))).toBe(0);
}

async function expectValues(database: KeyValue, numbers: Iterable<number>, size?: number): Promise<void> {
  for (const number of numbers) {
    const found = await database.get(named(number));
    expect(Buffer.compare(found ?? Buffer.alloc(0), valued(number, size)), `value ${number}`).toBe(0);
  }
}

describe('a large value', () => {
  test('lies in a segment and not in the database below; a small one lies in the database', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    await database.write([put(1, WORTH_A_FLUSH), put(2, LARGE), put(3, LARGE - 1)]);
    expect(await level.get(named(1))).toBeUndefined();
    expect(await level.get(named(2))).toBeUndefined();
    expectSame(await level.get(named(3)), valued(3, LARGE - 1));
    expect(await segments()).toEqual({ '000001': WORTH_A_FLUSH + LARGE });
  });

  test('lies in the database where it alone is not worth a flush', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    await database.write([put(1, WORTH_A_FLUSH - 1), put(2, LARGE - 1)]);
    expectSame(await level.get(named(1)), valued(1, WORTH_A_FLUSH - 1));
    await expect(readdir(bulk)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('leaves nothing behind in the database where it comes in the place of a small one, nor otherwise', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    const everything = async () => {
      const names: string[] = [];
      for await (const [name] of level.iterator({ gte: Uint8Array.of(0), lt: Uint8Array.of(255) })) {
        names.push(Buffer.from(name).toString());
      }
      return names.sort();
    };
    await database.write([put(1, 5)]);
    await database.write([put(1)]);
    expect(await everything()).toEqual(['br1']);
    await database.write([put(1, 5)]);
    expect(await everything()).toEqual(['r1']);
    await database.write([put(1)]);
    await database.write([remove(1)]);
    expect(await everything()).toEqual([]);
  });

  test('of a name that looks like a pointer is told from the pointer', async () => {
    const start = await forgetful(new ForgetfulLevel(), base);
    const names = ['x', 'bx', 'bbx', 'bbbx'].map(utf8);
    await start.database.write(names.map((name, i) => ({ name, put: valued(i, i % 2 ? 5 : 70 * KIB) })));
    const { database } = await start.losePower();
    for (const [i, name] of names.entries()) {
      expectSame(await database.get(name), valued(i, i % 2 ? 5 : 70 * KIB));
    }
    const listed: string[] = [];
    for await (const { name } of database.entries(utf8('b'))) listed.push(Buffer.from(name).toString());
    expect(listed.sort()).toEqual(['bbbx', 'bbx', 'bx']);
    await database.write([{ name: utf8('bx'), remove: true }]);
    expect(await database.get(utf8('bx'))).toBeUndefined();
    expectSame(await database.get(utf8('x')), valued(0, 70 * KIB));
    expectSame(await database.get(utf8('bbx')), valued(2, 70 * KIB));
  });

  test('is never split: a batch goes on in another segment, and a giant has one of its own', async () => {
    const start = await forgetful(new ForgetfulLevel(), base);
    const size = 3 * MIB;
    await start.database.write(Array.from({ length: 12 }, (_, i) => put(i, size)));
    await start.database.write([put(100, SEGMENT_BYTES + 1), put(101)]);
    expect(await segments()).toEqual({
      '000001': 5 * size,
      '000002': 5 * size,
      '000003': 2 * size,
      '000004': SEGMENT_BYTES + 1,
      '000005': 64 * KIB,
    });
    const { database } = await start.losePower();
    await expectValues(database, Array(12).keys(), size);
    await expectValues(database, [100], SEGMENT_BYTES + 1);
    await expectValues(database, [101]);
  });
});

/** What happens to files and to the database, in the order in which it does. */
async function recording(level: ForgetfulLevel): Promise<string[]> {
  const events: string[] = [];
  const file = await open(join(base, 'any'), 'w');
  const files = Object.getPrototypeOf(file) as typeof file;
  await file.close();
  for (const method of ['writev', 'datasync', 'sync', 'read'] as const) {
    const original = files[method] as (...args: unknown[]) => Promise<unknown>;
    vi.spyOn(files, method).mockImplementation(async function (this: typeof file, ...args: unknown[]) {
      try {
        return (await original.apply(this, args)) as never;
      } finally {
        events.push(method);
      }
    });
  }
  const batch = level.batch.bind(level);
  level.batch = (operations, options) => {
    events.push('batch');
    return batch(operations, options);
  };
  return events;
}

describe('writing', () => {
  test('makes a large value and the name of its file durable before the database learns of it', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    const events = await recording(level);
    await database.write([put(1), put(2)]);
    expect(events.splice(0)).toEqual(['writev', 'datasync', 'sync', 'sync', 'batch']);
    await database.write([put(3), put(4)]);
    expect(events.splice(0)).toEqual(['writev', 'datasync', 'batch']);
    await database.write([put(5, SEGMENT_BYTES)]);
    expect(events.splice(0)).toEqual(['writev', 'datasync', 'sync', 'batch']);
    await database.write([put(6)]);
    await database.close();
    const again = await forgetful(level, base);
    events.splice(0);
    await again.database.write([put(7)]);
    expect(Object.values(await segments())).toEqual([256 * KIB, SEGMENT_BYTES, 128 * KIB]);
    // Whoever made the files may have died before their names were durable.
    expect(events).toEqual(['writev', 'datasync', 'sync', 'sync', 'batch']);
  });

  test('flushes nothing but the database for small values and for removals', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    await database.write([put(1), put(2), put(3)]);
    const events = await recording(level);
    await database.write([put(10, 5), put(2, 5), remove(3), put(11, LARGE)]);
    expect(events).toEqual(['batch']);
    await expectValues(database, [1]);
  });

  test('goes on where the disk took only a part', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    const file = await open(join(base, 'any'), 'w');
    const files = Object.getPrototypeOf(file) as typeof file;
    const original = files.write as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    await file.close();
    const spy = vi.spyOn(files, 'writev').mockImplementation(async function (
      this: typeof file,
      values,
      position,
    ) {
      const all = Buffer.concat(values as readonly Uint8Array[]);
      const { bytesWritten } = await original.call(this, all, 0, Math.min(all.length, 50_000), position);
      return { bytesWritten, buffers: values };
    });
    await database.write([put(1), put(2), put(3)]);
    await expectValues(database, [1, 2, 3]);
    expect(spy).toHaveBeenCalledTimes(4);
  });

  test('asks nothing of the database that is not needed', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    const batch = level.batch.bind(level);
    const asked: string[] = [];
    level.batch = (operations, options) => {
      for (const { type, key } of operations) asked.push(`${type} ${Buffer.from(key)}`);
      return batch(operations, options);
    };
    await database.write([put(1)]);
    // Whether there was a small one is not known.
    expect(asked.splice(0).sort()).toEqual(['del r1', 'put br1']);
    await database.write([put(1)]);
    expect(asked.splice(0)).toEqual(['put br1']);
    await database.write([remove(1)]);
    expect(asked.splice(0)).toEqual(['del br1']);
    await database.write([remove(1)]);
    expect(asked.splice(0)).toEqual(['del r1']);
  });

  test('makes files that are for their owner only', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    const old = process.umask(0);
    await database.write([put(1)]).finally(() => process.umask(old));
    expect((await stat(bulk)).mode & 0o777).toBe(0o700);
    expect((await stat(join(bulk, '000001'))).mode & 0o777).toBe(0o600);
  });

  test('ends in `store-full` where the disk is, and nothing is written after that', async () => {
    const level = new ForgetfulLevel();
    await mkdir(bulk);
    await symlink('/dev/full', join(bulk, '000001'));
    const { database } = await forgetful(level, base);
    expect(await codeOf(database.write([put(1)]))).toBe('store-full');
    expect(await codeOf(database.write([put(2, 5)]))).toBe('store-full');
    expect(await level.get(named(2))).toBeUndefined();
  });

  test('ends in `store-write-failed` where a segment cannot be opened', async () => {
    await mkdir(join(bulk, '000001'), { recursive: true });
    const { database } = await forgetful(new ForgetfulLevel(), base);
    expect(await codeOf(database.write([put(1)]))).toBe('store-write-failed');
  });

  test('one after the other, even where it is asked for at once', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    const last = (i: number): Write => ({ name: named(1000), put: valued(i, i % 2 ? 5 : 200 * KIB) });
    await Promise.all(Array.from({ length: 40 }, (_, i) => database.write([put(i), last(i)])));
    await expectValues(database, Array(40).keys());
    expectSame(await database.get(named(1000)), valued(39, 5));
  });
});

describe('a write that ends between the segment and the database', () => {
  test.each(['before it was kept', 'after it was kept'])(
    '%s, leaves what there was, or all of it',
    async (when) => {
      const level = new ForgetfulLevel();
      const { database, losePower } = await forgetful(level, base);
      await database.write([put(1), put(2), put(3, 5)]);
      const batch = level.batch.bind(level);
      level.batch = async (operations, options) => {
        if (when === 'after it was kept') await batch(operations, options);
        throw new Error('the power went');
      };
      const changes = [{ name: named(1), put: valued(7) }, remove(2), { name: named(3), put: valued(8) }];
      expect(await codeOf(database.write(changes))).toBe('store-write-failed');
      level.batch = batch;
      expect(await codeOf(database.write([put(9)]))).toBe('store-write-failed');

      const after = (await losePower()).database;
      const kept = when === 'after it was kept';
      expectSame(await after.get(named(1)), valued(kept ? 7 : 1));
      expectSame(await after.get(named(2)), kept ? undefined : valued(2));
      expectSame(await after.get(named(3)), kept ? valued(8) : valued(3, 5));
      await after.write([put(4)]);
      await expectValues(after, [4]);
      expectSame(await after.get(named(1)), valued(kept ? 7 : 1));
    },
  );

  test('deletes no segment of which the database still knows', async () => {
    const level = new ForgetfulLevel();
    const { database, losePower } = await forgetful(level, base);
    await database.write([put(1, SEGMENT_BYTES)]);
    await database.write([put(2)]);
    level.batch = async () => {
      throw new Error('the power went');
    };
    await database.write([remove(1)]).catch(() => undefined);
    await expectValues((await losePower()).database, [1], SEGMENT_BYTES);
  });
});

describe('opening', () => {
  test('goes on in the last segment, behind whatever is there', async () => {
    const level = new ForgetfulLevel();
    let current = await forgetful(level, base);
    for (let i = 0; i < 10; i++) {
      await current.database.write([put(i)]);
      await appendFile(join(bulk, '000001'), 'a torn tail');
      current = await current.losePower();
    }
    expect(await segments()).toEqual({ '000001': 10 * (64 * KIB + 11) });
    await expectValues(current.database, Array(10).keys());
  });

  test('changes nothing; what nobody points at goes with the first write', async () => {
    const level = new ForgetfulLevel();
    const first = await forgetful(level, base);
    await first.database.write([put(1)]);
    await first.losePower();
    for (const name of ['000002', '000003', '000007']) await writeFile(join(bulk, name), 'half written');
    await writeFile(join(bulk, 'notes.txt'), 'not ours');
    const before = await imageOf(base);
    const { database, losePower } = await forgetful(level, base);
    await expectValues(database, [1]);
    await losePower();
    expect(await imageOf(base)).toEqual(before);
    const { database: again } = await forgetful(level, base);
    await again.write([put(2, 5)]);
    expect(Object.keys(await segments())).toEqual(['000001', '000007', 'notes.txt']);
    await again.write([put(3)]);
    expect((await segments())['000007']).toBe('half written'.length + 64 * KIB);
    await expectValues(again, [1, 3]);
  });

  test('makes nothing where nothing large was ever written', async () => {
    const { database, losePower } = await forgetful(new ForgetfulLevel(), base);
    await database.write([put(1, 5)]);
    await losePower();
    expect(await readdir(base)).toEqual([]);
  });

  test.each([11, 13, 0])('ends in `store-damaged` over a pointer of %i bytes', async (length) => {
    const level = new ForgetfulLevel();
    await level.batch([{ type: 'put', key: utf8('br1'), value: new Uint8Array(length).fill(1) }], {
      sync: true,
    });
    expect(await codeOf(withBulk(levelKeyValue(level), bulk))).toBe('store-damaged');
  });

  test('ends in `store-damaged` where the segments cannot be listed, or a pointer names none', async () => {
    await writeFile(bulk, 'a file');
    expect(await codeOf(withBulk(levelKeyValue(new ForgetfulLevel()), bulk))).toBe('store-damaged');
    const level = new ForgetfulLevel();
    await level.batch([{ type: 'put', key: utf8('br1'), value: new Uint8Array(12) }], { sync: true });
    expect(await codeOf(withBulk(levelKeyValue(level), join(base, 'none')))).toBe('store-damaged');
  });
});

describe('a damaged segment', () => {
  test('that is missing, or ends too early, reads as missing and is neither resumed nor moved', async () => {
    const level = new ForgetfulLevel();
    const first = await forgetful(level, base);
    await first.database.write([put(1), put(2), put(3)]);
    await first.losePower();
    await truncate(join(bulk, '000001'), 150 * KIB);
    const second = await forgetful(level, base);
    expect(await second.database.get(named(3))).toBeUndefined();
    const [one, three] = await second.database.getMany([named(1), named(3)]);
    expectSame(one, valued(1));
    expect(three).toBeUndefined();
    await second.database.write([put(4)]);
    expect(await segments()).toEqual({ '000001': 150 * KIB, '000002': 64 * KIB });
    expect(await second.database.get(named(3))).toBeUndefined();
    await second.losePower();
    await rm(join(bulk, '000001'));
    const { database } = await forgetful(level, base);
    expect(await database.get(named(1))).toBeUndefined();
    const listed: Uint8Array[] = [];
    for await (const { name } of database.entries(utf8('r'))) listed.push(name);
    expect(listed).toEqual([named(4)]);
    await expectValues(database, [4]);
    await database.write([put(1)]);
    await expectValues(database, [1, 4]);
  });

  test('that goes missing later reads as missing, unless the value has moved meanwhile', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    await database.write([put(1), put(2)]);
    await rm(join(bulk, '000001'));
    expect(await database.get(named(1))).toBeUndefined();
    const read = database.get(named(1));
    // The small value is in the database before the system has answered that there is no such file.
    await database.write([put(1, 5)]);
    expectSame(await read, valued(1, 5));
    expect(await database.get(named(2))).toBeUndefined();
  });

  test('does no harm to a read that is bounded by what there is', async () => {
    const level = new ForgetfulLevel();
    await mkdir(bulk);
    await writeFile(join(bulk, '000001'), new Uint8Array(100));
    const pointer = (...numbers: number[]) => new Uint8Array(new Uint32Array(numbers).buffer).reverse();
    // Length, offset, segment: the four bytes of each come out big end first.
    await level.batch(
      [
        { type: 'put', key: utf8('br1'), value: pointer(0xffff_ffff, 0, 1) },
        { type: 'put', key: utf8('br2'), value: pointer(1, 0xffff_ffff, 1) },
        { type: 'put', key: utf8('br3'), value: pointer(100, 0, 1) },
      ],
      { sync: true },
    );
    const { database } = await forgetful(level, base);
    expect(await database.get(named(1))).toBeUndefined();
    expect(await database.get(named(2))).toBeUndefined();
    expect((await database.get(named(3)))?.length).toBe(100);
  });

  test('that cannot be read does not keep the others from being given back, nor is it tried again', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    await fill(database, 6);
    await truncate(join(bulk, '000002'), 100);
    await rm(join(bulk, '000003'));
    await mkdir(join(bulk, '000003'));
    const events = await recording(new ForgetfulLevel());
    for (let i = 0; i < 5; i++) await database.write([put(60_000 + i, 5)]);
    expect((await readdir(bulk)).sort()).toEqual(['000002', '000003', '000005', '000006', '000007']);
    expect(events.filter((event) => event === 'read')).toHaveLength(4);
    await expectValues(database, [0, 3000, 4000, 5000]);
    expect(await database.get(named(1000))).toBeUndefined();
    expect(await codeOf(database.get(named(2000)))).toBe('store-damaged');
  });

  test('ends in `store-damaged` for whoever reads a record through the keystore', async () => {
    const home = join(base, 'home');
    const unlock = keyFileSecret();
    const { keystore } = await createKeystore(home, unlock);
    await keystore.commit([setting('large', 'x'.repeat(100_000)), setting('small', 'y')]);
    await keystore.close();
    const segment = join(home, 'bulk', '000001');
    const whole = (await imageOf(home)).get('bulk/000001') ?? Buffer.alloc(0);
    expect(whole.length).toBeGreaterThan(100_000);
    const outcome = async (): Promise<string | undefined> => {
      const opened = await openKeystore(home, unlock);
      expect(await opened.keystore.read('setting', 'small')).toBe('y');
      const code = await codeOf(opened.keystore.read('setting', 'large'));
      await opened.keystore.close();
      return code;
    };
    expect(await outcome()).toBeUndefined();
    for (let at = 0; at < whole.length; at += 4999) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(segment, flipped);
      expect([at, await outcome()]).toEqual([at, 'store-damaged']);
    }
    await writeFile(segment, whole.subarray(0, -1));
    expect(await outcome()).toBe('store-damaged');
    await rm(segment);
    expect(await outcome()).toBe('store-damaged');
    expect(await codeOf(openKeystore(home, unlock, { verifyAtOpen: ['setting'] }))).toBe('store-damaged');
  });
});

/** So many full segments, in each of which only the first value is wanted any more, and one behind them. */
async function fill(database: KeyValue, count: number): Promise<void> {
  const each = SEGMENT_BYTES / (64 * KIB);
  for (let segment = 0; segment < count; segment++) {
    await database.write(Array.from({ length: each }, (_, i) => put(segment * 1000 + i)));
  }
  await database.write([put(50_000)]);
  const dead: Write[] = [];
  for (let segment = 0; segment < count; segment++) {
    for (let i = 1; i < each; i++) dead.push(remove(segment * 1000 + i));
  }
  await database.write(dead);
}

describe('room', () => {
  test('is given back while values come and go', { timeout: 60_000 }, async () => {
    const { database, losePower } = await forgetful(new ForgetfulLevel(), base);
    const alive = 64;
    let most = 0;
    const count = (200 * MIB) / (64 * KIB);
    for (let i = 0; i < count; i += 16) {
      const batch = Array.from({ length: 16 }, (_, n) => put(i + n));
      if (i >= alive) batch.push(...Array.from({ length: 16 }, (_, n) => remove(i - alive + n)));
      await database.write(batch);
      if (i % 128 === 0) most = Math.max(most, await bytesOnDisk());
    }
    expect(most).toBeLessThanOrEqual(3 * SEGMENT_BYTES);
    const left = Array.from({ length: alive }, (_, n) => count - alive + n);
    await expectValues((await losePower()).database, left);
  });

  test('is not held for ever by values that stay', { timeout: 60_000 }, async () => {
    const start = await forgetful(new ForgetfulLevel(), base);
    let current = start;
    const staying: number[] = [];
    // One in a hundred stays; the others go with the next batch.
    for (let i = 0; i < 3200; i += 16) {
      const batch = Array.from({ length: 16 }, (_, n) => put(i + n));
      for (let n = 1; n <= 16 && i > 0; n++) if ((i - n) % 100 !== 0) batch.push(remove(i - n));
      for (let n = 0; n < 16; n++) if ((i + n) % 100 === 0) staying.push(i + n);
      await current.database.write(batch);
      if (i % 800 === 0) current = await current.losePower();
    }
    expect(staying).toHaveLength(32);
    await expectValues(current.database, staying);
    const wanted = 32 * 64 * KIB;
    expect(await bytesOnDisk()).toBeLessThanOrEqual(4 * wanted + 3 * SEGMENT_BYTES);
    current = await current.losePower();
    await expectValues(current.database, staying);
    // Without what stays, all of it goes but for where the writing is.
    await current.database.write(Array.from({ length: 3200 }, (_, i) => remove(i)));
    expect(Object.keys(await segments())).toHaveLength(1);
  });

  test('comes back a little with each write, also where nothing large is written any more', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    await fill(database, 12);
    const events = await recording(level);
    const counts: number[] = [];
    for (let i = 0; i < 5; i++) {
      await database.write([put(60_000, 5)]);
      counts.push(Object.keys(await segments()).length);
    }
    // Ten are to be given back, four values of 64 KiB at a time; the two youngest are left alone.
    expect(counts).toEqual([9, 5, 3, 3, 3]);
    expect(events.filter((event) => event === 'datasync')).toHaveLength(3);
    await expectValues(
      database,
      Array.from({ length: 12 }, (_, i) => i * 1000),
    );
  });

  test('comes back as fast as a write itself takes it', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    await fill(database, 12);
    await database.write(Array.from({ length: 10 }, (_, i) => put(60_000 + i)));
    expect(Object.keys(await segments())).toEqual(['000011', '000012', '000013']);
  });

  test('comes back one value at a time where they are huge', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    for (let i = 0; i < 8; i++) await database.write([put(i, 3 * MIB), put(100 + i, 10 * MIB)]);
    await database.write(Array.from({ length: 7 }, (_, i) => remove(100 + i)));
    const before = await bytesOnDisk();
    for (let moved = 1; moved <= 3; moved++) {
      await database.write([put(1000, 5)]);
      expect(await bytesOnDisk()).toBe(before - moved * 10 * MIB);
    }
    await expectValues(database, Array(8).keys(), 3 * MIB);
  });

  test('is not taken back from segments of which a quarter is wanted', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    for (let segment = 0; segment < 5; segment++) {
      await database.write(Array.from({ length: 4 }, (_, i) => put(segment * 10 + i, 4 * MIB)));
    }
    for (let segment = 0; segment < 5; segment++) {
      await database.write([1, 2, 3].map((i) => remove(segment * 10 + i)));
    }
    await database.write([put(90_000)]);
    expect(Object.keys(await segments())).toHaveLength(6);
  });

  test('is not given back by moving what is about to be overwritten or removed', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    await fill(database, 4);
    await database.write([remove(0), { name: named(1000), put: valued(5, 5) }]);
    expect(await database.get(named(0))).toBeUndefined();
    expectSame(await database.get(named(1000)), valued(5, 5));
    expect(await segments()).toEqual({
      '000003': SEGMENT_BYTES,
      '000004': SEGMENT_BYTES,
      '000005': 64 * KIB,
    });
  });
});

describe('reading', () => {
  test('goes on while segments come and go', { timeout: 60_000 }, async () => {
    const { database } = await onDisk(base, true);
    // Each name holds its own number and the round; rounds only ever rise for a reader.
    const names = 24;
    const versions = new Array<number>(names).fill(0);
    const begun = new Array<number>(names).fill(0);
    await database.write(Array.from({ length: names }, (_, n) => ({ name: named(n), put: valued(n) })));
    let over = false;
    let reads = 0;
    const reader = async (seed: number) => {
      for (let n = seed; !over; n = (n + 5) % names) {
        const least = versions[n] ?? 0;
        const value = await database.get(named(n));
        expect(value?.length, `name ${n}`).toBeGreaterThan(0);
        const found = new DataView((value ?? new Uint8Array(4)).buffer).getUint32(0);
        expect(found % 100).toBe(n);
        expect(Math.floor(found / 100)).toBeGreaterThanOrEqual(least);
        expect(Math.floor(found / 100)).toBeLessThanOrEqual(begun[n] ?? 0);
        reads++;
      }
    };
    const readers = [0, 1, 2, 3].map(reader);
    for (let round = 1; round <= 240; round++) {
      const batch: Write[] = [];
      for (let n = 0; n < names; n++) {
        // Some seldom, so that they are moved; some small from time to time, so that they change their place.
        if (n < 4 && round % 60 !== 0) continue;
        begun[n] = round;
        const size = n % 5 === 0 && round % 3 === 0 ? 100 : 200 * KIB;
        batch.push({ name: named(n), put: valued(round * 100 + n, size) });
      }
      await database.write(batch);
      for (let n = 0; n < names; n++) versions[n] = begun[n] ?? 0;
      if (round % 10 === 0) await settled();
    }
    over = true;
    await Promise.all(readers);
    expect(reads).toBeGreaterThan(200);
    await database.close();
  });

  test('waits for a write that the database has kept and not yet told of', async () => {
    const level = new ForgetfulLevel();
    const { database } = await forgetful(level, base);
    await database.write([put(1, 5), put(2), put(3, 5)]);
    const batch = level.batch.bind(level);
    let tell = (): void => undefined;
    level.batch = async (operations, options) => {
      await batch(operations, options);
      await new Promise<void>((resolve) => {
        tell = resolve;
      });
    };
    const write = database.write([put(1), put(2, 5)]);
    await vi.waitFor(async () => expect(await level.get(named(1))).toBeUndefined());
    const read = database.get(named(1));
    const readMany = database.getMany([named(1), named(3)]);
    const listed = (async () => {
      const names: string[] = [];
      for await (const { name } of database.entries(utf8('r'))) names.push(Buffer.from(name).toString());
      return names.sort();
    })();
    await settled();
    tell();
    await write;
    expectSame(await read, valued(1));
    expectSame((await readMany)[0], valued(1));
    expectSame((await readMany)[1], valued(3, 5));
    expect(await listed).toEqual(['r1', 'r2', 'r3']);
  });

  test('of many segments at once keeps only a few of them open', async () => {
    const { database } = await forgetful(new ForgetfulLevel(), base);
    for (let i = 0; i < 20; i++) await database.write([put(i, 15 * MIB)]);
    const openFiles = async () => (await readdir('/proc/self/fd')).length;
    const before = await openFiles();
    await Promise.all(Array.from({ length: 20 }, (_, i) => database.get(named(i))));
    expect(await openFiles()).toBeLessThanOrEqual(before + 8);
    await database.close();
    expect(await openFiles()).toBeLessThan(before);
  });
});

test('a database in memory can have its large values beside it as well', async () => {
  const disk = new MemoryDisk();
  const database = await beside(disk.database(), bulk);
  await database.write([put(1), put(2, 5)]);
  await expectValues(await beside(disk.database(), bulk), [1]);
});
