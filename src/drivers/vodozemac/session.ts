import type { Session as RawSession } from 'vodozemac-wasm-bindings';
import type { Result } from '../../entities/result.ts';
import type { Secret } from '../../entities/secret.ts';
import type { OlmMessage, OlmRefusal, Pickle, Session } from '../../usecases/ports/engine.ts';
import { type Context, pickleKey } from './context.ts';
import { consume, Owned } from './guard.ts';
import { checkOlmMessage, readPreKeyMessage } from './olm-message.ts';
import { refusing } from './refusals.ts';

export class VodozemacSession implements Session {
  readonly #context: Context;
  readonly #own: Owned<RawSession>;

  constructor(context: Context, raw: RawSession) {
    this.#context = context;
    this.#own = new Owned(context.guard, raw);
  }

  get id(): Uint8Array {
    return this.#context.base64.decode(this.#own.use((raw) => raw.session_id));
  }

  get established(): boolean {
    return this.#own.use((raw) => raw.has_received_message());
  }

  encrypt(plaintext: Uint8Array): OlmMessage {
    const { decode } = this.#context.base64;
    return this.#own.use((raw) =>
      consume(raw.encrypt(plaintext), (message) => ({
        type: messageType(message.message_type),
        body: decode(message.ciphertext),
      })),
    );
  }

  decrypt(message: OlmMessage): Result<Uint8Array, OlmRefusal> {
    const sound =
      message.type === 0 ? readPreKeyMessage(message.body) !== undefined : checkOlmMessage(message.body);
    const body = this.#context.base64.encode(message.body);
    return this.#own.use((raw) => {
      if (!sound) return { refused: 'olm-malformed' };
      // The engine would read the inner message under any keys around it.
      if (message.type === 0 && !raw.session_matches(0, body)) return { refused: 'olm-undecryptable' };
      return refusing(() => raw.decrypt(message.type, body));
    });
  }

  matches(message: OlmMessage): boolean {
    return this.#own.use(
      (raw) =>
        message.type === 0 &&
        readPreKeyMessage(message.body) !== undefined &&
        raw.session_matches(0, this.#context.base64.encode(message.body)),
    );
  }

  pickle(key: Secret): Pickle {
    return this.#own.use((raw) => raw.pickle(pickleKey(key)) as Pickle);
  }

  dispose(): void {
    this.#own.dispose();
  }
}

function messageType(type: number): 0 | 1 {
  if (type !== 0 && type !== 1) throw new Error(`the engine made a message of type ${type}`);
  return type;
}
