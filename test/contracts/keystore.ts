/** What every keystore owes; run over memory and over Level alike. */
import { describe, expect, test } from 'vitest';
import type { Change, Keystore } from '../../src/usecases/ports/keystore.ts';

export interface KeystoreUnderTest {
  readonly keystore: Keystore;
  /** Opens again what a closed keystore, or a dead process, left behind. */
  reopen(): Promise<KeystoreUnderTest>;
}

export const setting = (key: string, put: string): Change => ({ kind: 'setting', key, put });
export const noSetting = (key: string): Change => ({ kind: 'setting', key, remove: true });

const alice = {
  name: 'Alice’s laptop',
  pickleKey: Uint8Array.of(1, 2, 3),
  createdAt: 1_700_000_000_000,
};

export function keystoreContract(name: string, make: () => Promise<KeystoreUnderTest>): void {
  describe(`${name} as a keystore`, () => {
    test('begins empty', async () => {
      const { keystore } = await make();
      expect(keystore.keys('setting')).toEqual([]);
      expect(await keystore.read('setting', 'broker')).toBeUndefined();
      await keystore.close();
    });

    test('reads what was committed, before and after it was closed', async () => {
      const first = await make();
      await first.keystore.commit([
        { kind: 'identity', key: 'self', put: alice },
        setting('broker', 'mqtt://localhost'),
      ]);
      const expectAll = async (keystore: Keystore) => {
        expect(await keystore.read('identity', 'self')).toEqual(alice);
        expect(await keystore.read('setting', 'broker')).toBe('mqtt://localhost');
        expect(keystore.keys('setting')).toEqual(['broker']);
        expect(keystore.keys('identity')).toEqual(['self']);
      };
      await expectAll(first.keystore);
      const position = first.keystore.position();
      await first.keystore.close();
      const second = await first.reopen();
      await expectAll(second.keystore);
      expect(second.keystore.position()).toEqual(position);
      await second.keystore.close();
    });

    test('keeps kinds and keys apart', async () => {
      const { keystore } = await make();
      await keystore.commit([setting('self', 'a'), setting('', 'b'), setting('ä 🦊\0x', 'c')]);
      expect(await keystore.read('identity', 'self')).toBeUndefined();
      expect(await keystore.read('setting', '')).toBe('b');
      expect(await keystore.read('setting', 'ä 🦊\0x')).toBe('c');
      await keystore.close();
    });

    test('forgets what was removed, and for good', async () => {
      const first = await make();
      await first.keystore.commit([setting('broker', 'a'), setting('prefix', 'b')]);
      await first.keystore.commit([noSetting('broker'), noSetting('never there')]);
      expect(await first.keystore.read('setting', 'broker')).toBeUndefined();
      await first.keystore.close();
      const second = await first.reopen();
      expect(await second.keystore.read('setting', 'broker')).toBeUndefined();
      expect(second.keystore.keys('setting')).toEqual(['prefix']);
      await second.keystore.close();
    });

    test('lets the later change of a record win, within a commit and among commits handed over together', async () => {
      const { keystore } = await make();
      await Promise.all([
        keystore.commit([setting('a', '1'), setting('a', '2'), setting('b', '1')]),
        keystore.commit([noSetting('b'), setting('a', '3')]),
        keystore.commit([setting('c', '1')]),
      ]);
      expect(await keystore.read('setting', 'a')).toBe('3');
      expect(keystore.keys('setting')).toEqual(['a', 'c']);
      await keystore.close();
    });

    test('joins commits that arrive while one is being written', async () => {
      const { keystore } = await make();
      const before = keystore.position().number;
      await Promise.all(Array.from({ length: 200 }, (_, i) => keystore.commit([setting(`key ${i}`, 'x')])));
      expect(keystore.position().number - before).toBeLessThan(10);
      expect(keystore.keys('setting')).toHaveLength(200);
      await keystore.close();
    });

    test('shows a commit only once it is durable, and keeps the values as they were handed over', async () => {
      const { keystore } = await make();
      const bytes = Uint8Array.of(1);
      const committing = keystore.commit([
        { kind: 'identity', key: 'self', put: { ...alice, pickleKey: bytes } },
      ]);
      expect(keystore.keys('identity')).toEqual([]);
      bytes.fill(9);
      await committing;
      expect((await keystore.read('identity', 'self'))?.pickleKey).toEqual(Uint8Array.of(1));
      await keystore.close();
    });

    test('reads a record that is being rewritten all the time', async () => {
      const { keystore } = await make();
      await keystore.commit([setting('counter', '0')]);
      let writing = true;
      const writer = (async () => {
        for (let i = 1; i <= 100; i++)
          await keystore.commit([setting('counter', String(i)), setting(`x${i}`, 'y')]);
        writing = false;
      })();
      let last = 0;
      while (writing) {
        const seen = Number(await keystore.read('setting', 'counter'));
        expect(seen).toBeGreaterThanOrEqual(last);
        last = seen;
      }
      await writer;
      expect(await keystore.read('setting', 'counter')).toBe('100');
      await keystore.close();
    });

    test('names each state: the number grows, the digest differs', async () => {
      const { keystore } = await make();
      const seen = [keystore.position()];
      for (let i = 0; i < 3; i++) {
        await keystore.commit([setting('same', 'same')]);
        seen.push(keystore.position());
      }
      expect(new Set(seen.map(({ digest }) => digest.join())).size).toBe(4);
      expect(seen.map(({ number }) => number)).toEqual(
        [...seen.map(({ number }) => number)].sort((a, b) => a - b),
      );
      await keystore.commit([]);
      expect(keystore.position()).toEqual(seen.at(-1));
      await keystore.close();
    });

    test('refuses what it could not give back unchanged, and goes on', async () => {
      const { keystore } = await make();
      const bad = [undefined, 1n, new Map(), new Date(), () => 1, '\ud800', { a: undefined }];
      for (const value of bad) {
        const change = { kind: 'setting', key: 'x', put: value } as Change;
        await expect(keystore.commit([change])).rejects.toThrow('a record');
      }
      await keystore.commit([setting('x', 'fine')]);
      expect(keystore.keys('setting')).toEqual(['x']);
      await keystore.close();
    });

    test('is of no use once closed, and closes once', async () => {
      const { keystore } = await make();
      await Promise.all([keystore.close(), keystore.close()]);
      await expect(keystore.commit([setting('a', 'b')])).rejects.toThrow('closed');
      await expect(keystore.read('setting', 'a')).rejects.toThrow('closed');
    });

    test('writes out on closing what was handed over before', async () => {
      const first = await make();
      const committing = first.keystore.commit([setting('late', 'but there')]);
      await first.keystore.close();
      await committing;
      const second = await first.reopen();
      expect(await second.keystore.read('setting', 'late')).toBe('but there');
      await second.keystore.close();
    });
  });
}
