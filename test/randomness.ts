import { createHash, randomFillSync } from 'node:crypto';
import type { Randomness } from '../src/usecases/ports/randomness.ts';

export const realRandomness: Randomness = (length) => randomFillSync(new Uint8Array(length));

/** The same bytes for the same seed, in the same order. */
export function seededRandomness(seed: string): Randomness {
  let blocks = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = createHash('sha256').update(`${seed} ${blocks++}`).digest();
      bytes.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return bytes;
  };
}
