/** Faults and forgeries that only the chain of commits, or the look at what a read was overtaken by, can tell. */
import { describe, expect, test } from 'vitest';
import { commitName } from '../../../src/adapters/keystore/record-seal.ts';
import { createSealedKeystore, openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import { setting } from '../../contracts/keystore.ts';
import { codeOf, memoryStore, settled } from '../../support/keystore.ts';

const nameOf = (commit: number): string => toHex(commitName(commit));

describe('the history of a store', () => {
  test('with a hole is damaged on opening, though every record that is left is right', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    for (let i = 0; i < 6; i++) await keystore.commit([setting('same', String(i))]);
    await keystore.close();
    for (const missing of [2, 4, 6]) {
      const bytes = store.disk.rawEntries().get(nameOf(missing)) ?? new Uint8Array();
      store.disk.rawEntries().delete(nameOf(missing));
      expect([missing, await codeOf(openSealedKeystore(store.parts()))]).toEqual([missing, 'store-damaged']);
      store.disk.rawEntries().set(nameOf(missing), bytes);
    }
    expect(await codeOf(openSealedKeystore(store.parts()))).toBeUndefined();
  });

  test('shows a hole even where the anchor has not come that far', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    for (let i = 0; i < 6; i++) await keystore.commit([setting('same', String(i))]);
    store.disk.rawEntries().delete(nameOf(5));
    store.disk.cutPower();
    expect(await codeOf(openSealedKeystore(store.parts()))).toBe('store-damaged');
  });

  test('takes no commit, and no record, of a branch that a crash has undone', async () => {
    const store = memoryStore();
    const first = await createSealedKeystore(store.parts());
    for (let i = 0; i < 3; i++) await first.commit([setting('same', String(i))]);
    await first.close();
    const entries = store.disk.rawEntries();
    const before = new Map(entries);

    const undone = await openSealedKeystore(store.parts());
    await undone.commit([setting('same', 'undone')]);
    const branch = new Map([...entries].filter(([name, value]) => before.get(name) !== value));
    store.disk.cutPower();
    entries.clear();
    for (const [name, value] of before) entries.set(name, value);

    const kept = await openSealedKeystore(store.parts());
    await kept.commit([setting('same', 'kept')]);
    await kept.commit([setting('other', 'later')]);
    await kept.close();
    for (const [name, value] of branch) {
      const right = entries.get(name) ?? new Uint8Array();
      entries.set(name, value);
      const isCommit = name.startsWith(toHex(commitName(0)).slice(0, 2));
      const reading = async () => {
        const keystore = await openSealedKeystore(store.parts());
        // A wrong commit is seen on opening, a wrong record when it is read.
        if (!isCommit) await keystore.read('setting', 'same');
      };
      expect([name, await codeOf(reading())]).toEqual([name, 'store-damaged']);
      entries.set(name, right);
    }
  });

  test('of which the end is gone is rolled back', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    for (let i = 0; i < 3; i++) await keystore.commit([setting(`k${i}`, 'v')]);
    await keystore.close();
    store.disk.rawEntries().delete(nameOf(4));
    expect(await codeOf(openSealedKeystore(store.parts()))).toBe('store-rolled-back');
  });
});

test('a read that was overtaken by a commit answers with what was committed', async () => {
  const store = memoryStore();
  const { database, ...rest } = store.parts();
  const late: typeof database.get = async (name) => {
    await settled();
    return database.get(name);
  };
  const keystore = await createSealedKeystore({ ...rest, database: { ...database, get: late } });
  await keystore.commit([setting('a', 'old')]);
  // The directory is asked before the commit, the database after it.
  const reading = keystore.read('setting', 'a');
  await keystore.commit([setting('a', 'new')]);
  expect(await reading).toBe('new');
  await keystore.close();
});
