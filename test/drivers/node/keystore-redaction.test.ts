/** Nothing that holds a key shows it, however it is printed. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { passphraseSecret } from '../../../src/adapters/keystore/slot.ts';
import { createKeystore, openKeystore } from '../../../src/drivers/node/open-keystore.ts';
import { keyFileSecret, temporaryDirectory } from '../../support/home.ts';
import { testKeys } from '../../support/keystore.ts';

const printed = (value: unknown) => ({
  inspected: inspect(value, { depth: 9, showHidden: false }),
  json: JSON.stringify(value),
  text: String(value),
});

test('the keys of a store', () => {
  expect(printed(testKeys)).toMatchInlineSnapshot(`
    {
      "inspected": "{
      storeId: Uint8Array(16) [
        3, 3, 3, 3, 3, 3,
        3, 3, 3, 3, 3, 3,
        3, 3, 3, 3
      ],
      names: [secret],
      seals: [secret],
      anchor: [secret]
    }",
      "json": "{"storeId":{"0":3,"1":3,"2":3,"3":3,"4":3,"5":3,"6":3,"7":3,"8":3,"9":3,"10":3,"11":3,"12":3,"13":3,"14":3,"15":3},"names":"[secret]","seals":"[secret]","anchor":"[secret]"}",
      "text": "[object Object]",
    }
  `);
});

test('a key file and a passphrase', () => {
  expect(printed(keyFileSecret())).toMatchInlineSnapshot(`
    {
      "inspected": "{ kind: 'key-file', secret: [secret] }",
      "json": "{"kind":"key-file","secret":"[secret]"}",
      "text": "[object Object]",
    }
  `);
  expect(printed(passphraseSecret('correct horse'))).toMatchInlineSnapshot(`
    {
      "inspected": "{ kind: 'passphrase', secret: [secret] }",
      "json": "{"kind":"passphrase","secret":"[secret]"}",
      "text": "[object Object]",
    }
  `);
});

test('an open keystore and its slots', async () => {
  const base = await temporaryDirectory();
  const home = join(base, 'home');
  const { keystore, slots } = await createKeystore(home, keyFileSecret());
  expect(printed(keystore)).toMatchInlineSnapshot(`
    {
      "inspected": "SealedKeystore {}",
      "json": "{}",
      "text": "[object Object]",
    }
  `);
  expect(printed(slots)).toMatchInlineSnapshot(`
    {
      "inspected": "UnlockedHeader {}",
      "json": "{}",
      "text": "[object Object]",
    }
  `);
  await keystore.close();
  const refused = await openKeystore(home, passphraseSecret('correct horse')).catch(
    (error: unknown) => error,
  );
  expect(inspect(refused)).not.toContain('correct horse');
  await rm(base, { recursive: true });
});
