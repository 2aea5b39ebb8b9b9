/** The Olm session of one pairing, as both ends use it: messages in, ciphertexts out, and the other way round. */

import {
  decodeMessage,
  encodeMessage,
  type MessageOf,
  type MessageRefusal,
  type PairingMessage,
  padMessage,
  unpadMessage,
} from '../../entities/pairing/messages.ts';
import type { Result } from '../../entities/result.ts';
import type { Secret } from '../../entities/secret.ts';
import type { Engine, Pickle, Session } from '../ports/engine.ts';

export interface PairingSession {
  readonly id: Uint8Array;
  /** The ciphertext, and the plaintext for the transcript. */
  seal(message: PairingMessage): { readonly body: Uint8Array; readonly text: Uint8Array };
  /** Leaves the session as it was where it cannot read the message. */
  open<Step extends PairingMessage['step']>(
    step: Step,
    body: Uint8Array,
  ): Result<Opened<Step>, 'undecryptable' | MessageRefusal>;
  pickle(): Pickle;
  dispose(): void;
}

export interface Opened<Step extends PairingMessage['step']> {
  readonly message: MessageOf<Step>;
  readonly text: Uint8Array;
}

export function pairingSession(
  engine: Pick<Engine, 'restoreSession'>,
  pickleKey: Secret,
  begun: Session,
): PairingSession {
  let session = begun;
  return {
    id: session.id,
    seal(message) {
      const text = encodeMessage(message);
      return { body: session.encrypt(padMessage(text)).body, text };
    },
    open(step, body) {
      // A failed attempt can leave the ratchet changed, and anybody with the link can cause one.
      const before = session.pickle(pickleKey);
      const padded = session.decrypt({ type: 1, body });
      if ('refused' in padded) {
        session.dispose();
        session = engine.restoreSession(before, pickleKey);
        return { refused: 'undecryptable' };
      }
      return readMessage(step, padded.ok);
    },
    pickle: () => session.pickle(pickleKey),
    dispose: () => session.dispose(),
  };
}

export function readMessage<Step extends PairingMessage['step']>(
  step: Step,
  padded: Uint8Array,
): Result<Opened<Step>, MessageRefusal> {
  const text = unpadMessage(padded);
  if ('refused' in text) return text;
  const message = decodeMessage(step, text.ok);
  return 'refused' in message ? message : { ok: { message: message.ok, text: text.ok } };
}
