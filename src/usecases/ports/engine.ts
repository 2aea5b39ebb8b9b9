/**
 * The ratchets, in our words. One driver file stands behind this interface, so another build of the same
 * cryptography can take its place without anything else noticing; `test/contracts/engine.ts` says what it owes.
 *
 * Everything that an engine hands out lives in memory that the garbage collector does not see: whoever receives
 * a handle disposes of it. A call that only says "no" about foreign bytes answers with a refusal. A call that
 * finds the engine itself broken throws `engine-trap`, and so does every later call: the process has to end,
 * and has lost nothing, because nothing counts before it is committed.
 */
import type { AgreementKey, DeviceKeys, SigningKey } from '../../entities/keys.ts';
import type { Result } from '../../entities/result.ts';
import type { Secret } from '../../entities/secret.ts';

/** An encrypted image of a ratchet. Its own protection is weak: it belongs inside the keystore's. */
export type Pickle = string & { readonly __brand: 'pickle' };

/** What is signed: a label that names the kind of statement, and the hash of its bytes. */
export interface Statement {
  /** Lower-case letters, digits, spaces and hyphens. */
  readonly label: string;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

export const SIGNATURE_BYTES = 64;

export interface Handle {
  /**
   * Gives the memory back. A second call does nothing; any other call afterwards is a bug and throws. Never
   * throws itself, not even once the engine is broken, so that it can stand in any `finally`.
   */
  dispose(): void;
}

/** An Olm message: `0` carries what its receiver needs to begin the session, `1` is every later one. */
export interface OlmMessage {
  readonly type: 0 | 1;
  readonly body: Uint8Array;
}

export type OlmRefusal =
  /** The bytes are not a message of this kind at all. */
  | 'olm-malformed'
  /** The one-time key that the message asks for is not, or no longer, here. */
  | 'olm-unknown-key'
  /** The message is of this session but its key has been used or dropped. */
  | 'olm-key-gone'
  /** The message is further ahead than the ratchet is willing to skip. */
  | 'olm-gap-too-large'
  /** The message does not belong to this session, or was altered. */
  | 'olm-undecryptable';

export interface Account extends Handle {
  readonly keys: DeviceKeys;
  sign(statement: Statement): Uint8Array;
  /**
   * Makes `count` fresh one-time keys and returns their public halves in the order of their making; they stay
   * until used or burnt.
   */
  createOneTimeKeys(count: number): readonly AgreementKey[];
  /**
   * Removes a private one-time key that shall never be used. Returns false where there was none. The key is
   * one of our own, so it needs no check.
   */
  burnOneTimeKey(key: AgreementKey): boolean;
  startSession(peer: AgreementKey, oneTimeKey: AgreementKey): Session;
  /**
   * Begins the session that a type 0 message of `peer` asks for. The one-time key is taken out of this
   * account's memory, and nowhere else: nothing has happened until account, session and effect are committed
   * together. A refusal consumes nothing.
   */
  acceptSession(peer: AgreementKey, body: Uint8Array): Result<AcceptedSession, OlmRefusal>;
  /** The one-time key of ours that a type 0 message asks for, as it stands in the message. */
  oneTimeKeyIn(body: Uint8Array): Uint8Array | undefined;
  pickle(key: Secret): Pickle;
}

export interface AcceptedSession {
  readonly session: Session;
  readonly plaintext: Uint8Array;
}

export interface Session extends Handle {
  /** 32 bytes, the same at both ends. */
  readonly id: Uint8Array;
  /** False while the other end has not been heard in this session: until then every message is of type 0. */
  readonly established: boolean;
  encrypt(plaintext: Uint8Array): OlmMessage;
  /** A refusal may leave the ratchet changed: restore it from its last pickle before using it again. */
  decrypt(message: OlmMessage): Result<Uint8Array, OlmRefusal>;
  /** True for a type 0 message that began this session. */
  matches(message: OlmMessage): boolean;
  pickle(key: Secret): Pickle;
}

export interface OutboundGroupSession extends Handle {
  /** 32 bytes, the same at every member. */
  readonly id: Uint8Array;
  /** The index that the next message will carry. */
  readonly nextIndex: number;
  /** What a member needs to read from `nextIndex` on. Signed by the session itself. */
  shareKey(): Secret;
  encrypt(plaintext: Uint8Array): Uint8Array;
  pickle(key: Secret): Pickle;
}

export interface InboundGroupSession extends Handle {
  readonly id: Uint8Array;
  readonly firstIndex: number;
  /** Accepts the same message any number of times: remembering indexes is the caller's task. */
  decrypt(body: Uint8Array): Result<{ readonly index: number; readonly plaintext: Uint8Array }, OlmRefusal>;
  /** The key to read from `index` on, or `undefined` where the session begins later than that. */
  exportFrom(index: number): Secret | undefined;
  pickle(key: Secret): Pickle;
}

export interface Engine {
  createAccount(): Account;
  /** Throws `pickle-damaged` where the pickle does not belong to the key. */
  restoreAccount(pickle: Pickle, key: Secret): Account;
  restoreSession(pickle: Pickle, key: Secret): Session;
  /** Strict: refuses keys of low order, which have no type, and signatures of the wrong length. */
  verify(key: SigningKey, statement: Statement, signature: Uint8Array): boolean;
  createGroupSession(): OutboundGroupSession;
  restoreOutboundGroupSession(pickle: Pickle, key: Secret): OutboundGroupSession;
  /** From `shareKey`: the owner's signature inside is checked. */
  acceptGroupSession(sharedKey: Secret): Result<InboundGroupSession, 'olm-malformed'>;
  /** From `exportFrom`: carries no signature, so only for keys whose owner vouched for them otherwise. */
  importGroupSession(exportedKey: Secret): Result<InboundGroupSession, 'olm-malformed'>;
  restoreInboundGroupSession(pickle: Pickle, key: Secret): InboundGroupSession;
}
