import { spawn } from 'node:child_process';
import {
  chmod,
  chown,
  link,
  mkdir,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Migration } from '../../../src/adapters/keystore/migration.ts';
import { passphraseSecret } from '../../../src/adapters/keystore/slot.ts';
import { openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { createKeystore, openKeystore } from '../../../src/drivers/node/open-keystore.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { keystoreContract, setting } from '../../contracts/keystore.ts';
import { cheap, copyTree, imageOf, keyFileSecret, temporaryDirectory } from '../../support/home.ts';
import { codeOf, smallCheckpoints } from '../../support/keystore.ts';

let base: string;
let home: string;
beforeEach(async () => {
  base = await temporaryDirectory();
  home = join(base, 'home');
});
afterEach(() => rm(base, { recursive: true, force: true }));

const unlock = keyFileSecret();
let contracted = 0;

keystoreContract('Level, sealed, in a directory of its own,', async () => {
  const path = join(base, `contract-${contracted++}`);
  const under = (keystore: Awaited<ReturnType<typeof createKeystore>>['keystore']) => ({
    keystore,
    reopen: async () => under((await openKeystore(path, unlock)).keystore),
  });
  return under((await createKeystore(path, unlock)).keystore);
});

const LARGE = 'x'.repeat(100_000);

/** A store with some history, one value that lies beside the database, and one that no longer does; closed. */
async function aliceStore(): Promise<void> {
  const { keystore } = await createKeystore(home, unlock, smallCheckpoints);
  await keystore.commit([setting('large', LARGE), setting('passing', LARGE)]);
  await keystore.commit([setting('passing', 'small')]);
  for (let i = 0; i < 20; i++)
    await keystore.commit([setting('broker', `mqtt://${i}`), setting(`k${i}`, 'v')]);
  await keystore.close();
}

/** Opening ends in this code, and has changed nothing. */
async function expectRefused(
  code: string,
  open: () => Promise<unknown> = () => openKeystore(home, unlock),
): Promise<void> {
  const before = await imageOf(home);
  expect(await codeOf(open())).toBe(code);
  expect(await imageOf(home)).toEqual(before);
}

describe('a data directory', () => {
  test('is made for its owner only, whatever the umask was', async () => {
    const old = process.umask(0);
    try {
      await aliceStore();
    } finally {
      process.umask(old);
    }
    const visit = async (path: string): Promise<void> => {
      const found = await stat(path);
      expect([path, found.mode & 0o777]).toEqual([path, found.isDirectory() ? 0o700 : 0o600]);
      if (found.isDirectory()) for (const name of await readdir(path)) await visit(join(path, name));
    };
    await visit(home);
    expect((await readdir(home)).sort()).toEqual(['anchor', 'bulk', 'db', 'header']);
    expect(await readdir(join(home, 'bulk'))).toEqual(['000001']);
  });

  test('that has no store is said to have none', async () => {
    expect(await codeOf(openKeystore(home, unlock))).toBe('store-not-initialised');
    await mkdir(home, { mode: 0o700 });
    await expectRefused('store-not-initialised');
  });

  test('that has a store is not made anew', async () => {
    await aliceStore();
    await expectRefused('store-exists', () => createKeystore(home, unlock));
  });

  test('is not built over where its header was lost', async () => {
    await aliceStore();
    await rm(join(home, 'header'));
    for (const left of ['db', 'anchor', 'bulk']) {
      await expectRefused('store-damaged', () => createKeystore(home, unlock));
      await expectRefused('store-damaged');
      await rm(join(home, left), { recursive: true });
    }
    await expectRefused('store-not-initialised');
  });

  test('is made anew where its making was interrupted', async () => {
    await aliceStore();
    await rename(join(home, 'header'), join(home, 'creating'));
    await expectRefused('store-not-initialised');
    const { keystore } = await createKeystore(home, unlock);
    expect(keystore.keys('setting')).toEqual([]);
    await keystore.close();
    expect((await readdir(home)).sort()).toEqual(['anchor', 'db', 'header']);
  });

  test('does not open with another key, and says so', async () => {
    await aliceStore();
    await expectRefused('store-wrong-secret', () => openKeystore(home, keyFileSecret(2)));
    await expectRefused('store-wrong-secret', () => openKeystore(home, passphraseSecret('guess')));
  });

  test.each([
    ['.', 0o750],
    ['db', 0o701],
    ['header', 0o640],
    ['anchor', 0o604],
    ['db/CURRENT', 0o660],
    ['bulk', 0o750],
    ['bulk/000001', 0o604],
  ])('with %s open to others is refused', async (name, mode) => {
    await aliceStore();
    await chmod(join(home, name), mode);
    await expectRefused('store-permissions');
  });

  test.skipIf(process.geteuid?.() !== 0)(
    'with a file of a foreign owner is refused (needs root, to give a file away)',
    async () => {
      await aliceStore();
      await chown(join(home, 'anchor'), 1, 1);
      await expectRefused('store-foreign-owner');
    },
  );

  test('that is a symbolic link, or has one inside, is refused', async () => {
    await aliceStore();
    const alias = join(base, 'alias');
    await symlink(home, alias);
    await expectRefused('store-symlink', () => openKeystore(alias, unlock));
    await rename(join(home, 'db'), join(base, 'db'));
    await symlink(join(base, 'db'), join(home, 'db'));
    await expectRefused('store-symlink');
    await rm(join(home, 'db'));
    await rename(join(base, 'db'), join(home, 'db'));
    await rename(join(home, 'bulk', '000001'), join(base, 'segment'));
    await symlink(join(base, 'segment'), join(home, 'bulk', '000001'));
    await expectRefused('store-symlink');
  });

  test('is open in one process at a time, and the second one learns which', async () => {
    const { keystore } = await createKeystore(home, unlock);
    await expect(openKeystore(home, unlock)).rejects.toMatchObject({
      code: 'store-in-use',
      data: { pid: process.pid, home },
    });
    await keystore.commit([setting('still', 'working')]);
    await keystore.close();
    const again = await openKeystore(home, unlock);
    expect(await again.keystore.read('setting', 'still')).toBe('working');
    await again.keystore.close();
  });

  test('is not taken from a process that our own lock file does not name', async () => {
    await aliceStore();
    const level = await openLevel(join(home, 'db'), { create: false });
    await expectRefused('store-in-use');
    await level.write([{ name: utf8('x'), put: utf8('still working') }]);
    await level.close();
  });

  test('opens where the process that had it is dead, or its number belongs to another', async () => {
    await aliceStore();
    const child = spawn('true');
    await new Promise((resolve) => child.on('exit', resolve));
    for (const stale of [`${child.pid} 12345\n`, `${process.pid} 1\n`, 'nonsense', '']) {
      await writeFile(join(home, 'lock'), stale, { mode: 0o600 });
      const { keystore } = await openKeystore(home, unlock);
      expect(await keystore.read('setting', 'broker')).toBe('mqtt://19');
      await keystore.close();
    }
  });

  test.each(['header', 'anchor'])(
    'with its %s cut, flipped or gone is damaged, and stays as it is',
    async (name) => {
      await aliceStore();
      const file = join(home, name);
      const image = (await imageOf(home)).get(name) ?? Buffer.alloc(0);
      await truncate(file, image.length - 1);
      await expectRefused('store-damaged');
      const flipped = Buffer.from(image);
      flipped[40] = (flipped[40] ?? 0) ^ 1;
      await writeFile(file, flipped);
      await expectRefused('store-damaged');
      await rm(file);
      await expectRefused('store-damaged');
    },
  );

  test('with a damaged database is left byte for byte as it was found', async () => {
    await aliceStore();
    for (const [name, bytes] of await imageOf(home)) {
      if (!name.startsWith('db/') || bytes.length === 0) continue;
      const flipped = Buffer.from(bytes);
      const middle = Math.floor(bytes.length / 2);
      flipped[middle] = (flipped[middle] ?? 0) ^ 0x20;
      await writeFile(join(home, name), flipped);
      await expectRefused(name.endsWith('.log') ? 'store-rolled-back' : 'store-damaged', async () => {
        const { keystore } = await openKeystore(home, unlock, { verifyAtOpen: ['setting'] });
        await keystore.close();
      }).catch((error: unknown) => {
        throw new Error(`flipped ${name}`, { cause: error });
      });
      await writeFile(join(home, name), bytes);
    }
    const { keystore } = await openKeystore(home, unlock);
    await keystore.close();
  });

  test('keeps the segments that nobody points at until an opening has succeeded and something is written', async () => {
    await aliceStore();
    for (const name of ['000002', '000009'])
      await writeFile(join(home, 'bulk', name), 'left over', { mode: 0o600 });
    const anchor = (await imageOf(home)).get('anchor') ?? Buffer.alloc(0);
    await writeFile(join(home, 'anchor'), anchor.subarray(1));
    await expectRefused('store-damaged');
    await writeFile(join(home, 'anchor'), anchor);
    const { keystore } = await openKeystore(home, unlock);
    expect(await keystore.read('setting', 'large')).toBe(LARGE);
    expect(await readdir(join(home, 'bulk'))).toHaveLength(3);
    await keystore.commit([setting('broker', 'newer')]);
    expect((await readdir(join(home, 'bulk'))).sort()).toEqual(['000001', '000009']);
    await keystore.close();
  });

  test('whose database is from an older copy is said to be rolled back', async () => {
    await aliceStore();
    await copyTree(join(home, 'db'), join(base, 'old'));
    const { keystore } = await openKeystore(home, unlock);
    await keystore.commit([setting('broker', 'newer')]);
    await keystore.close();
    await rm(join(home, 'db'), { recursive: true });
    await copyTree(join(base, 'old'), join(home, 'db'));
    await expectRefused('store-rolled-back');
  });

  test('goes on from either side of an interrupted putting back', async () => {
    await aliceStore();
    const bulk = await imageOf(join(home, 'bulk'));
    await copyTree(join(home, 'db'), join(home, 'db.before'));
    await rename(join(home, 'db'), join(home, 'db.failed'));
    const first = await openKeystore(home, unlock);
    expect(await first.keystore.read('setting', 'broker')).toBe('mqtt://19');
    await first.keystore.close();
    await mkdir(join(home, 'db.failed'), { mode: 0o700 });
    await mkdir(join(home, 'db.before'), { mode: 0o700 });
    const second = await openKeystore(home, unlock);
    expect(await second.keystore.read('setting', 'broker')).toBe('mqtt://19');
    expect(await second.keystore.read('setting', 'large')).toBe(LARGE);
    await second.keystore.close();
    expect((await readdir(home)).sort()).toEqual(['anchor', 'bulk', 'db', 'header']);
    expect(await imageOf(join(home, 'bulk'))).toEqual(bulk);
  });
});

describe('the schema version of a store', () => {
  const upper: Migration = async (store) => {
    for (const key of store.keys('setting')) {
      store.put('setting', key, String(await store.read('setting', key)).toUpperCase());
    }
  };
  const rename2: Migration = async (store) => {
    store.put('setting', 'server', await store.read('setting', 'broker'));
    store.remove('setting', 'broker');
  };

  test('is brought forward step by step, once, and older records stay readable', async () => {
    const created = await createKeystore(home, unlock);
    await created.keystore.commit([
      setting('broker', 'mqtt'),
      {
        kind: 'identity',
        key: 'self',
        put: { name: 'Pi', pickleKey: new Uint8Array(), createdAt: 1 },
      },
    ]);
    await created.keystore.close();
    for (let round = 0; round < 2; round++) {
      const { keystore } = await openKeystore(home, unlock, { migrations: [upper, rename2] });
      expect(await keystore.read('setting', 'server')).toBe('MQTT');
      expect(keystore.keys('setting')).toEqual(['server']);
      expect((await keystore.read('identity', 'self'))?.name).toBe('Pi');
      await keystore.close();
    }
  });

  test('that is newer than the program ends the opening, and nothing is changed', async () => {
    await aliceStore();
    const { keystore } = await openKeystore(home, unlock, { migrations: [upper] });
    await keystore.close();
    await expectRefused('store-unknown-version');
  });

  test('counts as the database has it, where the header was not brought along', async () => {
    await aliceStore();
    const header = (await imageOf(home)).get('header') ?? Buffer.alloc(0);
    const { keystore } = await openKeystore(home, unlock, { migrations: [upper] });
    await keystore.close();
    await writeFile(join(home, 'header'), header);
    await expectRefused('store-unknown-version');
    const again = await openKeystore(home, unlock, { migrations: [upper] });
    expect(await again.keystore.read('setting', 'broker')).toBe('MQTT://19');
    await again.keystore.close();
  });

  test('stays where it was when a migration fails', async () => {
    await aliceStore();
    const failing: Migration = async () => {
      throw new Error('not today');
    };
    const before = await imageOf(home);
    await expect(openKeystore(home, unlock, { migrations: [upper, failing] })).rejects.toThrow('not today');
    expect(await imageOf(home)).toEqual(before);
  });
});

describe('unlock slots', () => {
  const passphrase = passphraseSecret('correct horse');

  test('are added and removed without touching the data', async () => {
    await aliceStore();
    const { keystore, slots } = await openKeystore(home, unlock);
    const database = async () => [...(await imageOf(home))].filter(([name]) => name.startsWith('db/'));
    const before = await database();
    expect(slots.list()).toEqual([{ number: 1, kind: 'key-file' }]);
    expect(await slots.add(passphrase, cheap)).toBe(2);
    await slots.remove(1);
    expect(await codeOf(slots.remove(1))).toBe('slot-unknown');
    expect(await codeOf(slots.remove(2))).toBe('slot-last');
    expect(await database()).toEqual(before);
    await keystore.close();
    expect(await codeOf(openKeystore(home, unlock))).toBe('store-wrong-secret');
    const again = await openKeystore(home, passphrase);
    expect(await again.keystore.read('setting', 'broker')).toBe('mqtt://19');
    expect(again.slots.list()).toEqual([{ number: 2, kind: 'passphrase' }]);
    await again.keystore.close();
  });

  test('added at the same time are all there', async () => {
    const { keystore, slots } = await createKeystore(home, unlock);
    await Promise.all([2, 3, 4].map((byte) => slots.add(keyFileSecret(byte))));
    await keystore.close();
    for (const byte of [1, 2, 3, 4]) await (await openKeystore(home, keyFileSecret(byte))).keystore.close();
  });

  test('hold a passphrase at the full cost', async () => {
    const { keystore } = await createKeystore(home, passphrase);
    await keystore.close();
    await (await openKeystore(home, passphrase)).keystore.close();
  });

  test('take composed and decomposed letters for the same passphrase', async () => {
    const { keystore } = await createKeystore(home, passphraseSecret('Gr\u00fc\u00dfe'), { cost: cheap });
    await keystore.close();
    await (await openKeystore(home, passphraseSecret('Gru\u0308\u00dfe'))).keystore.close();
    expect(await codeOf(openKeystore(home, passphraseSecret('Grusse')))).toBe('store-wrong-secret');
  });
});

// A hard link to a file inside is nothing that a check of modes could see, and nothing that gives access.
test('a hard link beside the store does no harm', async () => {
  await aliceStore();
  await link(join(home, 'header'), join(base, 'header'));
  await (await openKeystore(home, unlock)).keystore.close();
});
