/**
 * The engine over vodozemac's WebAssembly build. Bytes become base64 text and back at this border; what the
 * WebAssembly side copies of a secret, and the texts in between, cannot be wiped.
 */
import { fromBase64, toBase64 } from '../../entities/bytes.ts';
import { parseSigningKey, type SigningKey } from '../../entities/keys.ts';
import type { Result } from '../../entities/result.ts';
import type { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import {
  type Account,
  type Engine,
  type InboundGroupSession,
  type OutboundGroupSession,
  type Pickle,
  type Session,
  SIGNATURE_BYTES,
  type Statement,
} from '../../usecases/ports/engine.ts';
import { VodozemacAccount } from './account.ts';
import { type Base64, type Context, pickleKey } from './context.ts';
import { VodozemacGroupSession, VodozemacInboundGroupSession } from './group-session.ts';
import { Guard } from './guard.ts';
import type { Bindings } from './loader.ts';
import { checkExportedKey, checkSharedKey } from './olm-message.ts';
import { refusingKey, unpickling, verifies } from './refusals.ts';
import { VodozemacSession } from './session.ts';
import { statementText } from './statement.ts';

export type { Base64 } from './context.ts';

/** For platforms without a faster one of their own. */
export const portableBase64: Base64 = {
  encode: toBase64,
  decode(text) {
    const bytes = fromBase64(text);
    if (bytes === undefined) throw new Error('the engine wrote something that is not base64');
    return bytes;
  },
};

/** `bindings` must have been started by `startBindings`. */
export function createEngine(bindings: Bindings, base64: Base64): Engine {
  return new VodozemacEngine({ bindings, base64, guard: new Guard() });
}

class VodozemacEngine implements Engine {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  createAccount(): Account {
    const { bindings, guard } = this.#context;
    return new VodozemacAccount(
      this.#context,
      guard.run(() => new bindings.Account()),
    );
  }

  restoreAccount(pickle: Pickle, key: Secret): Account {
    return new VodozemacAccount(this.#context, this.#unpickle(this.#context.bindings.Account, pickle, key));
  }

  restoreSession(pickle: Pickle, key: Secret): Session {
    return new VodozemacSession(this.#context, this.#unpickle(this.#context.bindings.Session, pickle, key));
  }

  /** The engine checks that S is reduced; it takes any point for the key, and for R. */
  verify(key: SigningKey, statement: Statement, signature: Uint8Array): boolean {
    const { bindings, base64, guard } = this.#context;
    const message = utf8(statementText(statement));
    return guard.run(() => {
      if (signature.length !== SIGNATURE_BYTES) return false;
      if ('refused' in parseSigningKey(key) || 'refused' in parseSigningKey(signature.subarray(0, 32)))
        return false;
      return verifies(() => bindings.verify_signature(base64.encode(key), message, base64.encode(signature)));
    });
  }

  createGroupSession(): OutboundGroupSession {
    const { bindings, guard } = this.#context;
    return new VodozemacGroupSession(
      this.#context,
      guard.run(() => new bindings.GroupSession()),
    );
  }

  restoreOutboundGroupSession(pickle: Pickle, key: Secret): OutboundGroupSession {
    const raw = this.#unpickle(this.#context.bindings.GroupSession, pickle, key);
    return new VodozemacGroupSession(this.#context, raw);
  }

  acceptGroupSession(sharedKey: Secret): Result<InboundGroupSession, 'olm-malformed'> {
    const { bindings, base64, guard } = this.#context;
    return guard.run(() => {
      if (!checkSharedKey(sharedKey.expose())) return { refused: 'olm-malformed' };
      return refusingKey(() => {
        const raw = new bindings.InboundGroupSession(base64.encode(sharedKey.expose()));
        return new VodozemacInboundGroupSession(this.#context, raw);
      });
    });
  }

  importGroupSession(exportedKey: Secret): Result<InboundGroupSession, 'olm-malformed'> {
    const { bindings, base64, guard } = this.#context;
    return guard.run(() => {
      if (!checkExportedKey(exportedKey.expose())) return { refused: 'olm-malformed' };
      return refusingKey(() => {
        const raw = bindings.InboundGroupSession.import(base64.encode(exportedKey.expose()));
        return new VodozemacInboundGroupSession(this.#context, raw);
      });
    });
  }

  restoreInboundGroupSession(pickle: Pickle, key: Secret): InboundGroupSession {
    const raw = this.#unpickle(this.#context.bindings.InboundGroupSession, pickle, key);
    return new VodozemacInboundGroupSession(this.#context, raw);
  }

  #unpickle<Raw>(
    kind: { from_pickle(pickle: string, key: Uint8Array): Raw },
    pickle: Pickle,
    key: Secret,
  ): Raw {
    const keyBytes = pickleKey(key);
    return unpickling(() => this.#context.guard.run(() => kind.from_pickle(pickle, keyBytes)));
  }
}
