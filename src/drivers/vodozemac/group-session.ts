import type {
  GroupSession as RawGroupSession,
  InboundGroupSession as RawInbound,
} from 'vodozemac-wasm-bindings';
import type { Result } from '../../entities/result.ts';
import { Secret } from '../../entities/secret.ts';
import type {
  InboundGroupSession,
  OlmRefusal,
  OutboundGroupSession,
  Pickle,
} from '../../usecases/ports/engine.ts';
import { type Context, pickleKey } from './context.ts';
import { consume, Owned } from './guard.ts';
import { checkMegolmMessage } from './olm-message.ts';
import { refusing } from './refusals.ts';

const INDEX_MAX = 0xffff_ffff;

export class VodozemacGroupSession implements OutboundGroupSession {
  readonly #context: Context;
  readonly #own: Owned<RawGroupSession>;

  constructor(context: Context, raw: RawGroupSession) {
    this.#context = context;
    this.#own = new Owned(context.guard, raw);
  }

  get id(): Uint8Array {
    return this.#context.base64.decode(this.#own.use((raw) => raw.session_id));
  }

  get nextIndex(): number {
    return this.#own.use((raw) => raw.message_index);
  }

  shareKey(): Secret {
    return new Secret(this.#context.base64.decode(this.#own.use((raw) => raw.session_key)));
  }

  encrypt(plaintext: Uint8Array): Uint8Array {
    return this.#context.base64.decode(this.#own.use((raw) => raw.encrypt(plaintext)));
  }

  pickle(key: Secret): Pickle {
    return this.#own.use((raw) => raw.pickle(pickleKey(key)) as Pickle);
  }

  dispose(): void {
    this.#own.dispose();
  }
}

export class VodozemacInboundGroupSession implements InboundGroupSession {
  readonly #context: Context;
  readonly #own: Owned<RawInbound>;

  constructor(context: Context, raw: RawInbound) {
    this.#context = context;
    this.#own = new Owned(context.guard, raw);
  }

  get id(): Uint8Array {
    return this.#context.base64.decode(this.#own.use((raw) => raw.session_id));
  }

  get firstIndex(): number {
    return this.#own.use((raw) => raw.first_known_index);
  }

  decrypt(body: Uint8Array): Result<{ readonly index: number; readonly plaintext: Uint8Array }, OlmRefusal> {
    return this.#own.use((raw) => {
      if (!checkMegolmMessage(body)) return { refused: 'olm-malformed' };
      return refusing(() =>
        consume(raw.decrypt(this.#context.base64.encode(body)), ({ message_index, plaintext }) => ({
          index: message_index,
          plaintext,
        })),
      );
    });
  }

  exportFrom(index: number): Secret | undefined {
    if (!Number.isInteger(index) || index < 0 || index > INDEX_MAX) {
      throw new Error(`${index} is no index of a group message`);
    }
    const key = this.#own.use((raw) => raw.export_at(index));
    return key === undefined ? undefined : new Secret(this.#context.base64.decode(key));
  }

  pickle(key: Secret): Pickle {
    return this.#own.use((raw) => raw.pickle(pickleKey(key)) as Pickle);
  }

  dispose(): void {
    this.#own.dispose();
  }
}
