/** Makes a device in a home that has none. */

import { settingError } from '../../adapters/api/administration.ts';
import type { UnlockSecret } from '../../adapters/keystore/slot.ts';
import { fingerprint } from '../../entities/device-id.ts';
import { parseDeviceName } from '../../entities/device-name.ts';
import { MeshError } from '../../entities/errors.ts';
import { fromUtf8 } from '../../entities/text.ts';
import { createDevice } from '../../usecases/device/create-device.ts';
import { parseSetting, type SettingKey } from '../../usecases/settings.ts';
import { nodeClock } from '../node/clock.ts';
import { exists, homeAt } from '../node/home.ts';
import { createKeystore, type OpenKeystore, openKeystore } from '../node/open-keystore.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';
import { readPassphraseFile } from '../node/unlock.ts';
import { loadEngine } from '../vodozemac/load-node.ts';
import { readText } from './commands/config.ts';
import type { Invocation } from './invocation.ts';
import { chooseUnlockSecret, findUnlockSecret } from './unlocking.ts';

export interface BrokerOptions {
  readonly broker?: readonly string[];
  readonly brokerUser?: string;
  readonly brokerPasswordFile?: string;
  readonly brokerCa?: string;
  readonly brokerPin?: string;
  readonly topicPrefix?: string;
}

export interface Initialised {
  readonly deviceId: string;
  readonly fingerprint: string;
  readonly name: string;
  /** The key file, where one was made. */
  readonly keyFile: string | undefined;
}

/** Whatever is wrong with what was asked for is found before anything is made. */
export async function initialise(
  invocation: Invocation,
  name: string,
  options: BrokerOptions,
): Promise<Initialised> {
  const { home } = invocation;
  const parsed = parseDeviceName(name);
  if ('refused' in parsed) throw new MeshError(parsed.refused);
  const settings = await brokerSettings(options);
  const { store, keyFile } = await obtainStore(invocation);
  const { keystore } = store;
  try {
    // A crash between the making of the store and that of the device leaves a store without a device.
    if ((await keystore.read('identity', 'self')) !== undefined)
      throw new MeshError('store-exists', { home });
    const engine = await loadEngine(nodeRandomness);
    const create = createDevice({
      engine,
      hash: nodePrimitives.hash,
      clock: nodeClock,
      randomness: nodeRandomness,
    });
    const made = await create(keystore, parsed.ok, settings);
    if ('refused' in made) throw new MeshError(made.refused);
    return { deviceId: made.ok.id, fingerprint: fingerprint(made.ok.id), name: made.ok.name, keyFile };
  } finally {
    await keystore.close();
  }
}

async function obtainStore(
  invocation: Invocation,
): Promise<{ readonly store: OpenKeystore; readonly keyFile: string | undefined }> {
  const { home } = invocation;
  if (await exists(homeAt(home).header)) {
    const taken = new MeshError('store-exists', { home });
    const unlock: UnlockSecret | undefined = await findUnlockSecret(invocation).catch(() => undefined);
    if (unlock === undefined) throw taken;
    const store = await openKeystore(home, unlock).catch((error: unknown) => {
      throw error instanceof MeshError && error.code !== 'store-damaged' ? taken : error;
    });
    return { store, keyFile: undefined };
  }
  const { unlock, made } = await chooseUnlockSecret(invocation);
  return { store: await createKeystore(home, unlock), keyFile: made };
}

/** Read, checked, and as they would be kept. */
export async function brokerSettings(options: BrokerOptions): Promise<ReadonlyMap<SettingKey, string>> {
  const { brokerPasswordFile, brokerCa } = options;
  const password =
    brokerPasswordFile === undefined
      ? undefined
      : fromUtf8((await readPassphraseFile(brokerPasswordFile)).secret.expose());
  const given: readonly (readonly [SettingKey, string | undefined])[] = [
    ['broker', options.broker?.join(' ')],
    ['broker-user', options.brokerUser],
    ['broker-password', password],
    ['broker-ca', brokerCa === undefined ? undefined : await readText(brokerCa)],
    ['broker-pin', options.brokerPin],
    ['topic-prefix', options.topicPrefix],
  ];
  const settings = new Map<SettingKey, string>();
  for (const [key, text] of given) {
    if (text === undefined) continue;
    const value = parseSetting(key, text);
    if ('refused' in value) throw settingError(key, value);
    settings.set(key, value.ok);
  }
  if (settings.has('broker-password') && !settings.has('broker-user')) {
    throw new MeshError('broker-login-incomplete');
  }
  return settings;
}
