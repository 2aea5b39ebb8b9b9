/** The keys that a store works with, all derived from its one random data key. */
import { hkdf32, type Mac } from '../../entities/crypto.ts';
import { Secret } from '../../entities/secret.ts';

export const STORE_ID_BYTES = 16;
export const DATA_KEY_BYTES = 32;

export interface StoreKeys {
  readonly storeId: Uint8Array;
  /** For what records are called in the database. */
  readonly names: Secret;
  /** From which each commit's sealing key is made. */
  readonly seals: Secret;
  readonly anchor: Secret;
}

export function deriveStoreKeys(mac: Mac, dataKey: Secret, storeId: Uint8Array): StoreKeys {
  const derive = (label: string) => new Secret(hkdf32(mac, dataKey.expose(), storeId, label));
  return {
    storeId,
    names: derive('keystore names v1'),
    seals: derive('keystore seals v1'),
    anchor: derive('keystore anchor v1'),
  };
}
