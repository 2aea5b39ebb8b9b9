/** P6: what lies on a stolen disk tells nothing without its secret. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { createKeystore, openKeystore } from '../../../src/drivers/node/open-keystore.ts';
import { utf8 } from '../../../src/entities/text.ts';
import type { Pickle } from '../../../src/usecases/ports/engine.ts';
import { setting } from '../../contracts/keystore.ts';
import { keyFileSecret, temporaryDirectory, wholeImage } from '../../support/home.ts';
import { smallCheckpoints } from '../../support/keystore.ts';

const canaries = {
  name: 'Alice’s stolen tablet',
  account: 'PickledCanaryAccount',
  key: Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 0xff),
  message: 'the canary message itself',
  peer: 'abcdefghijklmnopqrstuvwxyz234567',
  setting: 'canary.setting.name',
};
const secrets = Object.values(canaries).map((value) =>
  Buffer.from(typeof value === 'string' ? utf8(value) : value),
);

/** All ways in which bytes may stand in a file as they are or as text. */
function disguises(bytes: Buffer): Buffer[] {
  const found = [bytes, Buffer.from(bytes.toString('latin1').toLowerCase(), 'latin1')];
  found.push(Buffer.from(bytes.toString('latin1').toUpperCase(), 'latin1'));
  found.push(Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('hex').toUpperCase()));
  for (let alignment = 0; alignment < 3; alignment++) {
    // Without the characters that depend on what stands before and behind.
    const shifted = Buffer.concat([Buffer.alloc(alignment), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const inner = shifted.slice(alignment === 0 ? 0 : alignment + 1, -2);
    for (const text of [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]) {
      for (const cased of [text, text.toLowerCase(), text.toUpperCase()]) found.push(Buffer.from(cased));
    }
  }
  return found;
}

const found = (image: Buffer): number =>
  secrets.filter((secret) => disguises(secret).some((form) => image.includes(form))).length;

let base: string;
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(() => rm(base, { recursive: true, force: true }));

test('the image of a store holds no name, key, message, peer or setting in any disguise', async () => {
  const home = join(base, 'home');
  for (const open of [createKeystore, openKeystore]) {
    const { keystore } = await open(home, keyFileSecret(), smallCheckpoints);
    for (let i = 0; i < 30; i++) {
      await keystore.commit([
        {
          kind: 'identity',
          key: canaries.peer,
          put: {
            name: canaries.name,
            pickleKey: canaries.key,
            createdAt: i,
          },
        },
        { kind: 'account', key: 'self', put: canaries.account as Pickle },
        setting(canaries.setting, canaries.message),
      ]);
    }
    expect(found(await wholeImage(home))).toBe(0);
    await keystore.close();
  }
  const image = await wholeImage(home);
  expect(image.length).toBeGreaterThan(3000);
  expect(found(image)).toBe(0);
  // Neither are the secret that unlocks it, or the names of kinds.
  expect(image.includes(Buffer.from(keyFileSecret().secret.expose()))).toBe(false);
  expect(image.includes('identity')).toBe(false);
});

test('the search finds each canary in a database that is not sealed, in each disguise', async () => {
  const database = await openLevel(join(base, 'plain'), { create: true });
  await database.write(secrets.map((secret, i) => ({ name: utf8(`r${i}`), put: Uint8Array.from(secret) })));
  await database.close();
  expect(found(await wholeImage(base))).toBe(secrets.length);
  for (const secret of secrets) {
    for (const before of ['', 'x', 'xy']) {
      for (const encoding of ['base64', 'base64url', 'hex'] as const) {
        const text = Buffer.concat([Buffer.from(before), secret, Buffer.from('more')]).toString(encoding);
        for (const cased of [text, text.toLowerCase(), text.toUpperCase()]) {
          expect(found(Buffer.from(`noise ${cased} noise`))).toBe(1);
        }
      }
    }
  }
});
