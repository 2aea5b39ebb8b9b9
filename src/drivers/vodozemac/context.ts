import type { Secret } from '../../entities/secret.ts';
import type { Guard } from './guard.ts';
import type { Bindings } from './loader.ts';

/** Standard base64 without padding, which is how everything enters and leaves the engine. */
export interface Base64 {
  encode(bytes: Uint8Array): string;
  /** Given what the engine wrote, so it need not be strict. */
  decode(text: string): Uint8Array;
}

/** What all objects of one engine share. */
export interface Context {
  readonly bindings: Bindings;
  readonly base64: Base64;
  readonly guard: Guard;
}

const PICKLE_KEY_BYTES = 32;

export function pickleKey(key: Secret): Uint8Array {
  if (key.length !== PICKLE_KEY_BYTES) throw new Error('a pickle key has 32 bytes');
  return key.expose();
}
