/**
 * Hash and MAC in plain script, for platforms that have no synchronous ones of their own. Several times slower
 * than a platform's; it exists because it runs anywhere.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Hash, Mac } from '../../entities/crypto.ts';

export const nobleHash: Hash = (...parts) => {
  const state = sha256.create();
  for (const part of parts) state.update(part);
  return state.digest();
};

export const nobleMac: Mac = (key, ...parts) => {
  const state = hmac.create(sha256, key);
  for (const part of parts) state.update(part);
  return state.digest();
};
