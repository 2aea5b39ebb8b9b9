/**
 * What a device keeps, by kind. Values are plain data: numbers, booleans, text, bytes, `null`, and arrays and
 * objects of these. Each use case adds the kinds that it owns.
 */
import type { Pickle } from './engine.ts';

export interface Records {
  /** Key `self`: who this device is. */
  readonly identity: IdentityRecord;
  /** Key: a setting's name. */
  readonly setting: string;
}

export interface IdentityRecord {
  readonly name: string;
  readonly account: Pickle;
  readonly pickleKey: Uint8Array;
  readonly createdAt: number;
}
