/**
 * Makes this device: its keys, its name, and a mesh of its own in which it is alone. Joining another mesh later
 * replaces that one. All of it is one commit, so a store holds a whole device or none.
 */
import { toHex } from '../../entities/bytes.ts';
import type { Hash } from '../../entities/crypto.ts';
import { type DeviceId, deriveDeviceId } from '../../entities/device-id.ts';
import { type DeviceName, type NameRefusal, parseDeviceName } from '../../entities/device-name.ts';
import type { Result } from '../../entities/result.ts';
import { attachSignature, composeGenesis } from '../../entities/roster/compose.ts';
import { Secret } from '../../entities/secret.ts';
import type { Clock } from '../ports/clock.ts';
import type { Engine } from '../ports/engine.ts';
import type { Change, Keystore } from '../ports/keystore.ts';
import type { Randomness } from '../ports/randomness.ts';
import { CLIENT_ID, type SettingKey } from '../settings.ts';

const PICKLE_KEY_BYTES = 32;
const SALT_BYTES = 32;
const CLIENT_ID_BYTES = 11;

export interface CreateDevicePorts {
  readonly engine: Engine;
  readonly hash: Hash;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

export interface CreatedDevice {
  readonly id: DeviceId;
  readonly name: DeviceName;
}

/** `settings` are values that have been parsed already. */
export type CreateDevice = (
  keystore: Pick<Keystore, 'commit'>,
  name: string,
  settings?: ReadonlyMap<SettingKey, string>,
) => Promise<Result<CreatedDevice, NameRefusal>>;

export function createDevice({ engine, hash, clock, randomness }: CreateDevicePorts): CreateDevice {
  return async (keystore, text, settings = new Map()) => {
    const name = parseDeviceName(text);
    if ('refused' in name) return name;
    const createdAt = Math.floor(clock.now());
    const pickleKey = new Secret(randomness(PICKLE_KEY_BYTES));
    const account = engine.createAccount();
    try {
      const id = deriveDeviceId(hash, account.keys);
      const salt = randomness(SALT_BYTES);
      const body = { kind: 'genesis', keys: account.keys, name: name.ok, salt } as const;
      const draft = composeGenesis(hash, id, body, createdAt);
      const entry = attachSignature(hash, draft, account.sign(draft.signable));
      await keystore.commit([
        {
          kind: 'identity',
          key: 'self',
          put: { name: name.ok, pickleKey: pickleKey.expose().slice(), createdAt },
        },
        { kind: 'account', key: 'self', put: account.pickle(pickleKey) },
        { kind: 'entry', key: entry.hash, put: { order: 0, bytes: entry.bytes } },
        { kind: 'setting', key: CLIENT_ID, put: toHex(randomness(CLIENT_ID_BYTES)) },
        ...[...settings].map(([key, put]): Change => ({ kind: 'setting', key, put })),
      ]);
      return { ok: { id, name: name.ok } };
    } finally {
      account.dispose();
      pickleKey.wipe();
    }
  };
}
