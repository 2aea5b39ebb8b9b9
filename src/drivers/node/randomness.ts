import { webcrypto } from 'node:crypto';
import type { Randomness } from '../../usecases/ports/randomness.ts';

/** The most that one call may ask of the platform. */
const PIECE = 65_536;

export const nodeRandomness: Randomness = (length) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += PIECE) webcrypto.getRandomValues(bytes.subarray(at, at + PIECE));
  return bytes;
};
