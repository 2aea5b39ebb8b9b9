/** The devices of the engine's tests, and what Mallory does to their messages. */
import type { Result } from '../../src/entities/result.ts';
import { Secret } from '../../src/entities/secret.ts';
import { utf8 } from '../../src/entities/text.ts';
import type { Account, Engine, OlmMessage, Session } from '../../src/usecases/ports/engine.ts';

export const pickleKey = (): Secret => new Secret(new Uint8Array(32).fill(7));
export const otherPickleKey = (): Secret => new Secret(new Uint8Array(32).fill(8));
export const text = (words: string): Uint8Array => utf8(words);

/** The value, where the test is about something that comes after it. */
export function granted<T>(result: Result<T, string>): T {
  if ('refused' in result) throw new Error(`refused as ${result.refused}`);
  return result.ok;
}

export function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there should be a value');
  return value;
}

export interface Introduction {
  readonly laptop: Account;
  readonly phone: Account;
  readonly laptopSession: Session;
  readonly first: OlmMessage;
}

/** Alice's laptop begins a session with her phone and has written its first message. */
export function introduce(engine: Engine): Introduction {
  const laptop = engine.createAccount();
  const phone = engine.createAccount();
  const oneTimeKey = existing(phone.createOneTimeKeys(1)[0]);
  const laptopSession = laptop.startSession(phone.keys.agreement, oneTimeKey);
  return { laptop, phone, laptopSession, first: laptopSession.encrypt(text('first')) };
}

export interface Conversation extends Introduction {
  readonly phoneSession: Session;
}

/** Both have heard each other. */
export function converse(engine: Engine): Conversation {
  const introduction = introduce(engine);
  const { laptop, phone, laptopSession, first } = introduction;
  const phoneSession = granted(phone.acceptSession(laptop.keys.agreement, first.body)).session;
  granted(laptopSession.decrypt(phoneSession.encrypt(text('welcome'))));
  return { ...introduction, phoneSession };
}

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  const at = Math.floor(bit / 8) % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

export function overwritten(bytes: Uint8Array, at: number, replacement: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(replacement, at);
  return copy;
}

/** Where the public keys stand in the messages that every sender writes. */
export const KEY_AT = {
  /** In a message of type 0. */
  oneTimeKey: 3,
  baseKey: 3 + 34,
  identityKey: 3 + 34 + 34,
  firstRatchetKey: 3 + 34 * 3 + 3,
  /** In a message of type 1. */
  ratchetKey: 3,
  /** In a group session's key. */
  groupSigningKey: 1 + 4 + 128,
} as const;
