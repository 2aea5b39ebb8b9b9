/**
 * What the engine's error messages mean. It has no codes, so its texts are matched here and nowhere else. Some
 * cannot come any more, because `olm-message.ts` looks first; should the two ever disagree, that is a refusal
 * still. A text without a row is no refusal: it is thrown on
 * as the bug that it is.
 */
import { MeshError } from '../../entities/errors.ts';
import type { Result } from '../../entities/result.ts';
import type { OlmRefusal } from '../../usecases/ports/engine.ts';

const rows: readonly (readonly [beginning: string, refusal: OlmRefusal])[] = [
  ["The message didn't contain a version", 'olm-malformed'],
  ["The message didn't have a valid version", 'olm-malformed'],
  ['The message was too short', 'olm-malformed'],
  ['The message contained an invalid public key', 'olm-malformed'],
  ['The message contained a MAC with an invalid size', 'olm-malformed'],
  ['The message contained an invalid Signature', 'olm-malformed'],
  ['failed to decode Protobuf message', 'olm-malformed'],
  ["The signature couldn't be decoded", 'olm-malformed'],
  ['The signature on the session key was invalid', 'olm-malformed'],
  ['The public key of session was invalid', 'olm-malformed'],
  ['The pre-key message contained an unknown one-time key', 'olm-unknown-key'],
  ["The message key with the given key can't be created", 'olm-key-gone'],
  ['The message was encrypted using an unknown message index', 'olm-key-gone'],
  ['The message gap was too big', 'olm-gap-too-large'],
  ["The given identity key doesn't match", 'olm-undecryptable'],
  ["The message that was used to establish the Session couldn't be decrypted", 'olm-undecryptable'],
  ['Failed decrypting Olm message', 'olm-undecryptable'],
  ['Failed decrypting Megolm message', 'olm-undecryptable'],
  ['The signature on the message was invalid', 'olm-undecryptable'],
];

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

export function refusing<T>(call: () => T): Result<T, OlmRefusal> {
  try {
    return { ok: call() };
  } catch (error) {
    const message = messageOf(error);
    const row = rows.find(([beginning]) => message.startsWith(beginning));
    if (row === undefined) throw error;
    return { refused: row[1] };
  }
}

/** A session key has one way to be refused: it is none. */
export function refusingKey<T>(call: () => T): Result<T, 'olm-malformed'> {
  const result = refusing(call);
  if ('ok' in result) return result;
  if (result.refused !== 'olm-malformed') throw new Error(`a session key was refused as ${result.refused}`);
  return { refused: result.refused };
}

export function unpickling<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!messageOf(error).startsWith('The pickle ')) throw error;
    throw new MeshError('pickle-damaged', {}, error);
  }
}

export function verifies(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (!messageOf(error).startsWith('The signature was invalid')) throw error;
    return false;
  }
}
