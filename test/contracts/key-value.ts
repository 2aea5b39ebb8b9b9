/** What every database under the keystore owes; run on memory and on Level alike. */
import { describe, expect, test } from 'vitest';
import type { KeyValue } from '../../src/adapters/keystore/key-value.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { utf8 } from '../../src/entities/text.ts';

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

    test('gives out arrays that are its caller’s own', async () => {
      const { database } = await make();
      await database.write([{ name: utf8('r1'), put: Uint8Array.of(1) }]);
      (await database.get(utf8('r1')))?.fill(9);
      expect(await database.get(utf8('r1'))).toEqual(Uint8Array.of(1));
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
