import { beforeEach, expect, test } from 'vitest';
import { createSealedKeystore } from '../../src/adapters/keystore/sealed-keystore.ts';
import type { Keystore } from '../../src/usecases/ports/keystore.ts';
import { createSettings, SETTING_KEYS, type Settings } from '../../src/usecases/settings.ts';
import { memoryStore } from '../support/keystore.ts';

let keystore: Keystore;
let settings: Settings;
/** What the store held when each change was told of. */
let told: (string | undefined)[];

beforeEach(async () => {
  keystore = await createSealedKeystore(memoryStore().parts());
  told = [];
  settings = createSettings(keystore, async (key) => {
    told.push(`${key} ${await keystore.read('setting', key)}`);
  });
});

test('a setting is durable before anybody is told of it', async () => {
  await settings.set('broker', ' mqtt://a:1883,  mqtts://b ');
  await settings.unset('broker');
  expect(told).toEqual(['broker mqtt://a:1883 mqtts://b', 'broker undefined']);
});

test('a secret is kept but never shown', async () => {
  const set = await settings.set('broker-password', 'hunter2');
  expect(set).toEqual({ ok: { key: 'broker-password', value: undefined, isSet: true, secret: true } });
  expect(JSON.stringify(await settings.show('broker-password'))).not.toContain('hunter2');
  expect(await settings.get('broker-password')).toBe('hunter2');
});

test('nothing is set at first, and what was unset is gone', async () => {
  for (const key of SETTING_KEYS) {
    expect(await settings.show(key)).toMatchObject({ ok: { isSet: false, value: undefined } });
  }
  await settings.set('broker-user', 'alice');
  await settings.unset('broker-user');
  expect(await settings.get('broker-user')).toBeUndefined();
});

test.each([
  ['broker', '', 'broker-url-invalid'],
  ['broker', 'mqtt://a http://b', 'broker-url-invalid'],
  ['broker', 'mqtt://u:p@a', 'broker-url-has-login'],
  ['broker-user', '', 'setting-invalid'],
  ['broker-user', 'a\nb', 'setting-invalid'],
  ['broker-password', 'x'.repeat(257), 'setting-invalid'],
  ['broker-ca', 'no certificate', 'broker-ca-invalid'],
  ['broker-pin', 'abc', 'setting-invalid'],
  ['topic-prefix', '/mesh', 'broker-topic-prefix-invalid'],
  ['topic-prefix', '/#/', 'broker-topic-prefix-invalid'],
  ['topic-prefix', '$SYS/', 'broker-topic-prefix-invalid'],
  ['retention', '', 'setting-invalid'],
  ['retention', '59m', 'setting-invalid'],
  ['retention', '366d', 'setting-invalid'],
  ['retention', '7', 'setting-invalid'],
  ['retention', '-7d', 'setting-invalid'],
  ['retention', '999999999999d', 'setting-invalid'],
  ['mqtt-client-id', 'mine', 'setting-unknown'],
  ['constructor', 'x', 'setting-unknown'],
])('the setting %s does not become %j', async (key, value, refused) => {
  expect(await settings.set(key, value)).toMatchObject({ refused });
  expect(keystore.keys('setting')).toEqual([]);
  expect(told).toEqual([]);
});

test.each([
  ['broker-pin', 'ab'.repeat(32)],
  ['topic-prefix', 'home/mesh/'],
  ['retention', '1h'],
  ['retention', '60m'],
  ['retention', '7d'],
  ['retention', '365d'],
  ['broker-ca', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
])('the setting %s takes %j', async (key, value) => {
  expect(await settings.set(key, value)).toMatchObject({ ok: { key, value } });
});

test('names of no setting are refused everywhere', async () => {
  expect(await settings.show('colour')).toEqual({ refused: 'setting-unknown' });
  expect(await settings.unset('colour')).toEqual({ refused: 'setting-unknown' });
});
