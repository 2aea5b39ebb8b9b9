/**
 * Devices that know each other, each in a home of its own, as pairing would have left them: the first one founded
 * the mesh and added the others, with their consent.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { embeddedLogin } from '../../src/drivers/daemon/embedded.ts';
import { createKeystore } from '../../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { makeKeyFile } from '../../src/drivers/node/unlock.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { Result } from '../../src/entities/result.ts';
import { Secret } from '../../src/entities/secret.ts';
import { fromUtf8 } from '../../src/entities/text.ts';
import { createDevice } from '../../src/usecases/device/create-device.ts';
import { type LoadedDevice, loadDevice } from '../../src/usecases/device/load-device.ts';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import type { Change, Keystore } from '../../src/usecases/ports/keystore.ts';
import { EMBEDDED_SECRET } from '../../src/usecases/settings.ts';
import { realClock, realRandomness } from '../brokers/loopback.ts';
import { foundMesh, logChanges } from '../support/found-mesh.ts';

export interface MeshOptions {
  readonly count: number;
  /** An existing directory; the homes and key files go below it. */
  readonly dir: string;
  /** Every device's broker. Without it none is set. */
  readonly brokerUrl?: string | undefined;
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  /** The port at which the first device runs the embedded broker: the others get its address and a login. */
  readonly embeddedPort?: number | undefined;
  readonly names?: readonly string[] | undefined;
}

export interface MeshDevice {
  readonly home: string;
  readonly keyFile: string;
  readonly deviceId: DeviceId;
  readonly name: string;
}

export const CAST = ["Alice's laptop", "Alice's phone", 'the Pi', "Alice's tablet", 'the other Pi'];
const { hash, mac } = nodePrimitives;

interface Made extends MeshDevice {
  readonly keystore: Keystore;
  readonly device: LoadedDevice;
}

export async function makeMesh(options: MeshOptions): Promise<readonly MeshDevice[]> {
  const engine = await loadEngine(realRandomness);
  const made: Made[] = [];
  try {
    for (let index = 0; index < options.count; index++) {
      const name = options.names?.[index] ?? CAST[index] ?? `device ${index + 1}`;
      made.push(await makeDevice(engine, join(options.dir, `device-${index + 1}`), name));
    }
    const [founder] = made;
    const parties = made.map(({ device, name }) => ({ ...device, name }));
    const membership = foundMesh({ engine, now: Date.now(), random: realRandomness }, parties);
    const secret = new Secret(realRandomness(32));
    for (const one of made) {
      const settings = settingsOf(options, one, one === founder, secret);
      await one.keystore.commit([...logChanges(one.keystore, membership), ...settings]);
    }
  } finally {
    for (const { device, keystore } of made) {
      device.account.dispose();
      await keystore.close();
    }
  }
  return made.map(({ home, keyFile, deviceId, name }) => ({ home, keyFile, deviceId, name }));
}

async function makeDevice(engine: Engine, home: string, name: string): Promise<Made> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const keyFile = `${home}.key`;
  const unlock = await makeKeyFile(keyFile, realRandomness);
  const { keystore } = await createKeystore(home, unlock);
  const create = createDevice({ engine, hash, clock: realClock, randomness: realRandomness });
  const { id } = must(await create(keystore, name));
  return {
    home,
    keyFile,
    deviceId: id,
    name,
    keystore,
    device: await loadDevice({ engine, hash }, keystore),
  };
}

function settingsOf(options: MeshOptions, one: Made, isFounder: boolean, secret: Secret): Change[] {
  const { brokerUrl, login, embeddedPort } = options;
  const put = (key: string, value: string): Change => ({ kind: 'setting', key, put: value });
  if (embeddedPort !== undefined) {
    if (isFounder) return [put(EMBEDDED_SECRET, toHex(secret.expose()))];
    const { name, password } = embeddedLogin(mac, secret, one.deviceId);
    return [
      put('broker', `mqtt://127.0.0.1:${embeddedPort}`),
      put('broker-user', name),
      put('broker-password', fromUtf8(password.expose()) ?? ''),
    ];
  }
  if (brokerUrl === undefined) return [];
  const changes = [put('broker', brokerUrl)];
  if (login !== undefined) {
    changes.push(put('broker-user', login.user), put('broker-password', login.password));
  }
  return changes;
}

function must<T, Reason extends string>(result: Result<T, Reason>): T {
  if ('refused' in result) throw new Error(`refused: ${result.refused}`);
  return result.ok;
}
