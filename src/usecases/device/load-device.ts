/** This device as its store has it. */
import type { Hash } from '../../entities/crypto.ts';
import { deriveDeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Party } from '../../entities/pair-keys.ts';
import { Secret } from '../../entities/secret.ts';
import type { Account, Engine } from '../ports/engine.ts';
import type { Keystore } from '../ports/keystore.ts';

export interface LoadedDevice {
  readonly self: Party;
  /** To be disposed of by whoever loaded the device. */
  readonly account: Account;
  readonly pickleKey: Secret;
  /** As it was given at the making; a member's name in the roster is the one that counts. */
  readonly name: string;
  readonly createdAt: number;
}

/** Throws `store-unfinished` for a store without a device, `store-damaged` for half of one, and `pickle-damaged`. */
export async function loadDevice(
  { engine, hash }: { readonly engine: Engine; readonly hash: Hash },
  keystore: Pick<Keystore, 'read'>,
): Promise<LoadedDevice> {
  const identity = await keystore.read('identity', 'self');
  const pickle = await keystore.read('account', 'self');
  if (identity === undefined && pickle === undefined) throw new MeshError('store-unfinished');
  if (identity === undefined || pickle === undefined) {
    throw new MeshError('store-damaged', { detail: 'half of its device is missing' });
  }
  const pickleKey = new Secret(identity.pickleKey);
  const account = engine.restoreAccount(pickle, pickleKey);
  const self = { id: deriveDeviceId(hash, account.keys), keys: account.keys };
  return { self, account, pickleKey, name: identity.name, createdAt: identity.createdAt };
}
