import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  makeKeyFile,
  readCredential,
  readKeyFile,
  readPassphraseFile,
} from '../../../src/drivers/node/unlock.ts';
import { realRandomness } from '../../randomness.ts';
import { temporaryDirectory } from '../../support/home.ts';
import { codeOf } from '../../support/keystore.ts';

let base: string;
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(() => rm(base, { recursive: true, force: true }));

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

async function file(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(base, name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe('a key file', () => {
  test('is made once, for its owner only, and reads back', async () => {
    const path = join(base, 'key');
    const made = await makeKeyFile(path, realRandomness);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const read = await readKeyFile(path);
    expect(read.secret.expose()).toEqual(made.secret.expose());
    expect(await codeOf(makeKeyFile(path, realRandomness))).toBe('store-secret-unreadable');
    expect(Uint8Array.from(await readFile(path))).toEqual(made.secret.expose());
  });

  test.each([0o640, 0o604, 0o660, 0o601])('that others can reach (%o) is refused', async (mode) => {
    expect(await codeOf(readKeyFile(await file('key', new Uint8Array(32), mode)))).toBe(
      'store-secret-exposed',
    );
  });

  test('behind a link is judged by itself', async () => {
    await symlink(await file('exposed', new Uint8Array(32), 0o644), join(base, 'link'));
    expect(await codeOf(readKeyFile(join(base, 'link')))).toBe('store-secret-exposed');
  });

  test.each([0, 31, 33, 5000])('of %i bytes is none', async (length) => {
    expect(await codeOf(readKeyFile(await file('key', new Uint8Array(length))))).toBe(
      'store-secret-unreadable',
    );
  });

  test('that is missing, or a directory, is not readable', async () => {
    expect(await codeOf(readKeyFile(join(base, 'none')))).toBe('store-secret-unreadable');
    expect(await codeOf(readKeyFile(base))).toBe('store-secret-unreadable');
  });
});

describe('a passphrase file', () => {
  test.each([
    ['correct horse', 'correct horse'],
    ['correct horse\n', 'correct horse'],
    ['correct horse\r\n', 'correct horse'],
    [' spaces count \nsecond line\n', ' spaces count '],
  ])('gives its first line: %j', async (content, expected) => {
    expect(text((await readPassphraseFile(await file('p', content))).secret.expose())).toBe(expected);
  });

  test.each(['', '\n', '\nsecond', new Uint8Array([0xff, 0xfe]), 'x'.repeat(5000)])(
    'that has none is refused (%#)',
    async (content) => {
      expect(await codeOf(readPassphraseFile(await file('p', content)))).toBe('store-secret-unreadable');
    },
  );

  test('may be a pipe', async () => {
    const path = join(base, 'pipe');
    execFileSync('mkfifo', ['-m', '600', path]);
    const [read] = await Promise.all([readPassphraseFile(path), writeFile(path, 'from a pipe\n')]);
    expect(text(read.secret.expose())).toBe('from a pipe');
  });
});

describe('a systemd credential', () => {
  test('is the file mesh-key of the directory that systemd names, whatever its mode', async () => {
    await mkdir(join(base, 'credentials'));
    await file('credentials/mesh-key', new Uint8Array(32).fill(5), 0o440);
    const { kind, secret } = await readCredential(join(base, 'credentials'));
    expect([kind, secret.expose()]).toEqual(['credential', new Uint8Array(32).fill(5)]);
  });

  test('that was not passed is said to be missing', async () => {
    expect(await codeOf(readCredential(undefined))).toBe('store-secret-unreadable');
    expect(await codeOf(readCredential(base))).toBe('store-secret-unreadable');
  });
});
