/** What every database under the keystore owes; run on memory and on Level alike. */
import { describe, expect, test } from 'vitest';
import type { KeyValue } from '../../src/adapters/keystore/key-value.ts';
import { equal, toHex } from '../../src/entities/bytes.ts';
import { fromUtf8, utf8 } from '../../src/entities/text.ts';

export interface KeyValueUnderTest {
  readonly database: KeyValue;
  /** Ends it as a loss of power would, and opens what is left. */
  losePower(): Promise<KeyValueUnderTest>;
}

async function listed(database: KeyValue, prefix: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, value } of database.entries(utf8(prefix))) found[toHex(name)] = toHex(value);
  return found;
}

/** Around the sizes at which a database may begin to treat a value otherwise. */
const SIZES = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000];

/** Bytes by which two values are told apart, and their parts as well. */
function valued(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (seed * 31 + at * 7 + (at >>> 8)) & 0xff);
}

/** Tells whether two large values are the same, a thousand times faster than a comparison that says where not. */
function expectSame(name: string, found: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  expect([name, found?.length]).toEqual([name, expected?.length]);
  expect(equal(found ?? new Uint8Array(), expected ?? new Uint8Array()), name).toBe(true);
}

/** What is expected of the names that begin with `s`, looked at through every way of reading. */
async function expectState(database: KeyValue, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const names = [...expected.keys()];
  for (const name of names) expectSame(name, await database.get(utf8(name)), expected.get(name));
  const found = await database.getMany(names.map(utf8));
  names.forEach((name, i) => {
    expectSame(name, found[i], expected.get(name));
  });
  const listed = new Map<string, Uint8Array>();
  for await (const { name, value } of database.entries(utf8('s'))) {
    expect(listed.has(String(fromUtf8(name)))).toBe(false);
    listed.set(String(fromUtf8(name)), value);
  }
  expect([...listed.keys()].sort()).toEqual(names.sort());
  for (const [name, value] of listed) expectSame(name, value, expected.get(name));
}

export function keyValueContract(name: string, make: () => Promise<KeyValueUnderTest>): void {
  describe(`${name} as a key-value database`, () => {
    test('returns what was written, and nothing for what was not', async () => {
      const { database } = await make();
      await database.write([{ name: utf8('r1'), put: Uint8Array.of(1, 2, 3) }]);
      expect(await database.get(utf8('r1'))).toEqual(Uint8Array.of(1, 2, 3));
      expect(await database.get(utf8('r2'))).toBeUndefined();
      expect(await database.getMany([utf8('r2'), utf8('r1')])).toEqual([undefined, Uint8Array.of(1, 2, 3)]);
      await database.close();
    });

    test('applies a batch in order and as a whole', async () => {
      const { database } = await make();
      await database.write([
        { name: utf8('r1'), put: utf8('old') },
        { name: utf8('r1'), put: utf8('new') },
        { name: utf8('r2'), put: utf8('gone') },
        { name: utf8('r2'), remove: true },
      ]);
      expect(await database.get(utf8('r1'))).toEqual(utf8('new'));
      expect(await database.get(utf8('r2'))).toBeUndefined();
      await database.close();
    });

    test('lists the entries of a prefix and no others', async () => {
      const { database } = await make();
      await database.write(['c1', 'c2', 'd1', 'b9'].map((text) => ({ name: utf8(text), put: utf8(text) })));
      expect(await listed(database, 'c')).toEqual({
        [toHex(utf8('c1'))]: toHex(utf8('c1')),
        [toHex(utf8('c2'))]: toHex(utf8('c2')),
      });
      await database.close();
    });

    test('holds names and values of any bytes, empty values among them', async () => {
      const { database } = await make();
      const name = Uint8Array.from({ length: 256 }, (_, i) => i);
      await database.write([
        { name, put: new Uint8Array() },
        { name: utf8('big'), put: new Uint8Array(300_000).fill(7) },
      ]);
      expect(await database.get(name)).toEqual(new Uint8Array());
      expect((await database.get(utf8('big')))?.length).toBe(300_000);
      await database.close();
    });

    test('holds values of every size, one in the place of the other, alone and together', async () => {
      let { database, losePower } = await make();
      const expected = new Map<string, Uint8Array>();
      for (let round = 0; round < SIZES.length; round++) {
        const batch = SIZES.map((_, i) => {
          const value = valued(SIZES[(i + round) % SIZES.length] ?? 0, round * 10 + i);
          expected.set(`s${i}`, value);
          return { name: utf8(`s${i}`), put: value };
        });
        if (round % 2 === 0) await database.write(batch);
        else for (const write of batch) await database.write([write]);
        await expectState(database, expected);
        if (round % 3 === 2) ({ database, losePower } = await losePower());
        await expectState(database, expected);
      }
      await database.close();
    });

    test('lets go of what is removed, whatever its size, and of nothing else', async () => {
      let { database, losePower } = await make();
      const expected = new Map(SIZES.map((size, i) => [`s${i}`, valued(size, i)]));
      await database.write([...expected].map(([name, put]) => ({ name: utf8(name), put })));
      for (const name of [...expected.keys(), 'never there']) {
        await database.write([{ name: utf8(name), remove: true }]);
        expected.delete(name);
        expect(await database.get(utf8(name))).toBeUndefined();
        expect(await database.getMany([utf8(name)])).toEqual([undefined]);
        await expectState(database, expected);
      }
      await database.write([{ name: utf8('s'), put: valued(100_000, 1) }]);
      await database.write([
        { name: utf8('s'), put: valued(200_000, 2) },
        { name: utf8('s'), remove: true },
      ]);
      ({ database, losePower } = await losePower());
      await expectState(database, expected);
      await database.close();
    });

    test('answers a read during a write with the old value or the new one', async () => {
      const { database } = await make();
      const sizes = [100_000, 10, 100_000, 100_000, 20_000, 80_000, 80_000, 10, 10];
      const values = sizes.map(valued);
      await database.write([{ name: utf8('s'), put: values[0] ?? new Uint8Array() }]);
      for (let i = 1; i < values.length; i++) {
        const now = values[i] ?? new Uint8Array();
        const allowed = [values[i - 1]?.length, now.length];
        const write = database.write([{ name: utf8('s'), put: now }]);
        let over = false;
        const watch = async () => {
          while (!over) {
            expect(allowed).toContain((await database.get(utf8('s')))?.length);
            // A database in memory would never let anything else have its turn.
            await new Promise((resolve) => setImmediate(resolve));
          }
        };
        const watching = [watch(), watch(), watch()];
        await write;
        over = true;
        await Promise.all(watching);
        expectSame('s', await database.get(utf8('s')), now);
      }
      await database.close();
    });

    test('gives out arrays that are its caller’s own', async () => {
      const { database } = await make();
      await database.write([{ name: utf8('r1'), put: Uint8Array.of(1) }]);
      (await database.get(utf8('r1')))?.fill(9);
      expect(await database.get(utf8('r1'))).toEqual(Uint8Array.of(1));
      await database.close();
    });

    test('gives out arrays of large values that are its caller’s own as well', async () => {
      const { database } = await make();
      const value = new Uint8Array(100_000).fill(1);
      await database.write([{ name: utf8('r1'), put: value }]);
      (await database.get(utf8('r1')))?.fill(9);
      expectSame('r1', await database.get(utf8('r1')), value);
      await database.close();
    });

    test('keeps through a loss of power every write that was confirmed', async () => {
      let current = await make();
      for (let round = 0; round < 5; round++) {
        await current.database.write([{ name: utf8(`r${round}`), put: utf8(`value ${round}`) }]);
        current = await current.losePower();
        for (let earlier = 0; earlier <= round; earlier++) {
          expect(await current.database.get(utf8(`r${earlier}`))).toEqual(utf8(`value ${earlier}`));
        }
      }
      await current.database.close();
    });
  });
}
