import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createSealedKeystore,
  type KeystoreOptions,
  openSealedKeystore,
} from '../../../src/adapters/keystore/sealed-keystore.ts';
import type { Change, Keystore } from '../../../src/usecases/ports/keystore.ts';
import { type KeystoreUnderTest, keystoreContract, noSetting, setting } from '../../contracts/keystore.ts';
import { codeOf, type MemoryStore, memoryStore, settled, smallCheckpoints } from '../../support/keystore.ts';

async function made(store: MemoryStore, options: KeystoreOptions): Promise<KeystoreUnderTest> {
  return reopening(store, await createSealedKeystore(store.parts(), options), options);
}

function reopening(store: MemoryStore, keystore: Keystore, options: KeystoreOptions): KeystoreUnderTest {
  return {
    keystore,
    reopen: async () => reopening(store, await openSealedKeystore(store.parts(), options), options),
  };
}

keystoreContract('memory, sealed,', () => made(memoryStore(), {}));
keystoreContract('memory, sealed, with a checkpoint every few commits,', () =>
  made(memoryStore(), smallCheckpoints),
);

const all = async (keystore: Keystore): Promise<Record<string, string | undefined>> => {
  const found: Record<string, string | undefined> = {};
  for (const key of [...keystore.keys('setting')].sort()) found[key] = await keystore.read('setting', key);
  return found;
};

describe('the sealed keystore', () => {
  test('holds what a plain map holds, whenever the power goes and however often it is opened', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');
    const change = fc.oneof(
      fc.tuple(key, fc.string({ maxLength: 30 })).map(([name, value]) => setting(name, value)),
      key.map(noSetting),
    );
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ commit: fc.array(change, { maxLength: 5 }) }) },
      { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: 100, max: 2000 }) }) },
      { weight: 1, arbitrary: fc.record({ cut: fc.constantFrom('before' as const, 'after' as const) }) },
      { weight: 1, arbitrary: fc.constant({ reopen: true }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const store = memoryStore();
        let keystore = await createSealedKeystore(store.parts(), smallCheckpoints);
        let model = new Map<string, string>();
        const maybe: Map<string, string>[] = [];
        const check = async () => {
          const seen = await all(keystore);
          if (maybe.length > 0) {
            const found = maybe.find((state) => matches(seen, state));
            expect(found).toBeDefined();
            model = found ?? model;
            maybe.length = 0;
          }
          expect(matches(seen, model)).toBe(true);
        };
        for (const act of steps) {
          if ('commit' in act) {
            const next = applied(model, act.commit);
            try {
              await keystore.commit(act.commit);
              model = next;
            } catch {
              maybe.push(model, next);
              keystore = await openSealedKeystore(store.parts(), smallCheckpoints);
              await check();
            }
          } else if ('pass' in act) {
            store.clock.pass(act.pass);
            await settled();
          } else if ('cut' in act) {
            store.disk.cutPowerAt(store.disk.steps + 1, act.cut);
          } else {
            await keystore.close().catch(() => undefined);
            store.disk.cutPower();
            keystore = await openSealedKeystore(store.parts(), smallCheckpoints);
            await check();
          }
        }
        store.disk.cutPower();
        keystore = await openSealedKeystore(store.parts(), smallCheckpoints);
        await check();
      }),
      { numRuns: 200 },
    );
  });

  test('survives a loss of power before and after every single write of its life', async () => {
    const live = async (store: MemoryStore, confirmed: string[]): Promise<void> => {
      const keystore = await createSealedKeystore(store.parts(), smallCheckpoints);
      for (let i = 0; i < 25; i++) {
        await keystore.commit([setting('count', String(i)), setting(`key ${i % 4}`, String(i))]);
        confirmed.push(String(i));
        if (i % 3 === 0) {
          store.clock.pass(1000);
          await settled();
        }
      }
      await keystore.close();
    };
    const whole = memoryStore();
    await live(whole, []);
    expect(whole.disk.steps).toBeGreaterThan(30);
    // Steps 1 and 2 make the store; before they are done there is none.
    for (let step = 3; step <= whole.disk.steps; step++) {
      for (const moment of ['before', 'after'] as const) {
        const store = memoryStore();
        const confirmed: string[] = [];
        store.disk.cutPowerAt(step, moment);
        await expect(live(store, confirmed)).rejects.toThrow();
        const keystore = await openSealedKeystore(store.parts(), smallCheckpoints);
        const count = await keystore.read('setting', 'count');
        const last = Number(confirmed.at(-1) ?? -1);
        expect([last, last + 1]).toContain(Number(count ?? -1));
        if (count !== undefined)
          expect(await keystore.read('setting', `key ${Number(count) % 4}`)).toBe(count);
        await keystore.close();
      }
    }
  });

  test('clears commits away only after a checkpoint that the anchor has reached', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts(), smallCheckpoints);
    const counts = () => [...store.disk.rawEntries().keys()].map((name) => name.slice(0, 2));
    const commits = () => counts().filter((letter) => letter === '63').length;
    for (let i = 0; i < 50; i++) await keystore.commit([setting('a', String(i))]);
    expect(commits()).toBe(51);
    store.clock.pass(1000);
    await settled();
    await keystore.commit([setting('a', 'x')]);
    await keystore.commit([setting('a', 'x')]);
    expect(commits()).toBeLessThan(10);
    expect(counts().filter((letter) => letter === '64').length).toBeLessThanOrEqual(2);
    await keystore.close();
  });

  test('writes its anchor within a second of a commit, and not while nothing happens', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    const anchored = () => store.disk.anchor().read();
    const first = await anchored();
    store.clock.pass(5000);
    await settled();
    expect(await anchored()).toEqual(first);
    await keystore.commit([setting('a', '1')]);
    expect(await anchored()).toEqual(first);
    store.clock.pass(999);
    await settled();
    expect(await anchored()).not.toEqual(first);
    const steps = store.disk.steps;
    store.clock.pass(5000);
    await settled();
    expect(store.disk.steps).toBe(steps);
    await keystore.close();
  });

  test('writes one anchor at a time, however slow the disk is', async () => {
    const store = memoryStore();
    const parts = store.parts();
    let writing = 0;
    let written = 0;
    const slow = {
      ...parts.anchor,
      replace: async (bytes: Uint8Array) => {
        expect(++writing).toBe(1);
        for (let i = 0; i < 5; i++) await settled();
        await parts.anchor.replace(bytes);
        writing--;
        written++;
      },
    };
    const keystore = await createSealedKeystore({ ...parts, anchor: slow });
    for (let i = 0; i < 5; i++) {
      await keystore.commit([setting('a', String(i))]);
      store.clock.pass(1000);
    }
    await keystore.commit([setting('a', 'last')]);
    await keystore.close();
    expect(written).toBeGreaterThan(2);
  });

  test('throws from every call once a write has failed', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    await keystore.commit([setting('a', '1')]);
    store.disk.cutPowerAt(store.disk.steps + 1, 'before');
    const together = [keystore.commit([setting('a', '2')]), keystore.commit([setting('b', '2')])];
    const later = settled().then(() => keystore.commit([setting('c', '3')]));
    for (const call of [...together, later]) expect(await codeOf(call)).toBe('store-write-failed');
    expect(await codeOf(keystore.read('setting', 'a'))).toBe('store-write-failed');
    expect(() => keystore.keys('setting')).toThrow();
    await keystore.close().catch(() => undefined);
  });

  test('writes no anchor once it has failed and is closed: the next process has its own', async () => {
    const store = memoryStore();
    const parts = store.parts();
    let failing = false;
    const write: typeof parts.database.write = async (batch) => {
      if (failing) throw new Error('the cable came off');
      await parts.database.write(batch);
    };
    const keystore = await createSealedKeystore({ ...parts, database: { ...parts.database, write } });
    await keystore.commit([setting('a', '1')]);
    failing = true;
    await keystore.commit([setting('a', '2')]).catch(() => undefined);
    await keystore.close();
    const { steps } = store.disk;
    store.clock.pass(5000);
    await settled();
    expect(store.disk.steps).toBe(steps);
  });

  test('fails like a failed write where the anchor cannot be written', async () => {
    const store = memoryStore();
    const keystore = await createSealedKeystore(store.parts());
    await keystore.commit([setting('a', '1')]);
    store.disk.cutPowerAt(store.disk.steps + 1, 'before');
    store.clock.pass(1000);
    await settled();
    expect(await codeOf(keystore.commit([setting('a', '2')]))).toBe('store-write-failed');
  });

  test('never uses a key and a nonce twice, not even for a commit number that is written again', async () => {
    const store = memoryStore();
    const used = new Set<string>();
    let sealed = 0;
    const watched = () => {
      const parts = store.parts();
      const { aead } = parts.primitives;
      const watching = {
        ...aead,
        seal: (jobs: Parameters<typeof aead.seal>[0]) => {
          for (const { key, nonce } of jobs) used.add(`${key.join()}/${nonce.join()}`);
          sealed += jobs.length;
          return aead.seal(jobs);
        },
      };
      return { ...parts, primitives: { ...parts.primitives, aead: watching } };
    };
    let keystore = await createSealedKeystore(watched(), smallCheckpoints);
    for (let i = 0; i < 20; i++) {
      store.disk.cutPowerAt(store.disk.steps + 2, 'before');
      await keystore.commit([setting('a', String(i)), setting('b', 'x')]);
      await keystore.commit([setting('a', 'lost')]).catch(() => undefined);
      keystore = await openSealedKeystore(watched(), smallCheckpoints);
    }
    expect(used.size).toBe(sealed);
    expect(sealed).toBeGreaterThan(80);
  });
});

function applied(model: ReadonlyMap<string, string>, changes: readonly Change[]): Map<string, string> {
  const next = new Map(model);
  for (const change of changes) {
    if ('remove' in change) next.delete(change.key);
    else next.set(change.key, String(change.put));
  }
  return next;
}

function matches(seen: Record<string, string | undefined>, model: ReadonlyMap<string, string>): boolean {
  const keys = Object.keys(seen);
  return keys.length === model.size && keys.every((key) => model.get(key) === seen[key]);
}
