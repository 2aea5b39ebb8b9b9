import type { Account as RawAccount } from 'vodozemac-wasm-bindings';
import { compare, equal } from '../../entities/bytes.ts';
import {
  type AgreementKey,
  type DeviceKeys,
  parseAgreementKey,
  parseDeviceKeys,
} from '../../entities/keys.ts';
import type { Result } from '../../entities/result.ts';
import type { Secret } from '../../entities/secret.ts';
import type {
  AcceptedSession,
  Account,
  OlmRefusal,
  Pickle,
  Session,
  Statement,
} from '../../usecases/ports/engine.ts';
import { type Context, pickleKey } from './context.ts';
import { consume, Owned } from './guard.ts';
import { readPreKeyMessage } from './olm-message.ts';
import { refusing } from './refusals.ts';
import { VodozemacSession } from './session.ts';
import { statementText } from './statement.ts';

const PRE_KEY_MESSAGE = 0;
/** An account that holds this many forgets the oldest without a word. */
const ONE_TIME_KEYS_MAX = 5000;

export class VodozemacAccount implements Account {
  readonly keys: DeviceKeys;
  readonly #context: Context;
  readonly #own: Owned<RawAccount>;

  constructor(context: Context, raw: RawAccount) {
    this.#context = context;
    this.#own = new Owned(context.guard, raw);
    const { decode } = context.base64;
    const parsed = this.#own.use((raw) =>
      parseDeviceKeys(decode(raw.ed25519_key), decode(raw.curve25519_key)),
    );
    if ('refused' in parsed) throw new Error(`an account has a key that is refused as ${parsed.refused}`);
    this.keys = Object.freeze(parsed.ok);
  }

  sign(statement: Statement): Uint8Array {
    const text = statementText(statement);
    return this.#context.base64.decode(this.#own.use((raw) => raw.sign(text)));
  }

  createOneTimeKeys(count: number): readonly AgreementKey[] {
    if (!Number.isInteger(count) || count < 0 || count > ONE_TIME_KEYS_MAX) {
      throw new Error(`an account cannot make ${count} one-time keys`);
    }
    // Every key is marked as published in the call that made it, so what is not published is what is new.
    return this.#own.use((raw) => {
      raw.generate_one_time_keys(count);
      const fresh: ReadonlyMap<string, string> = raw.one_time_keys;
      raw.mark_keys_as_published();
      return this.#inOrder(fresh).map((key) => this.#ownKey(key));
    });
  }

  /** The engine removes a private key in one case only: a message has used it. So we send ourselves one. */
  burnOneTimeKey(key: AgreementKey): boolean {
    const { bindings, base64 } = this.#context;
    const result = this.#own.use((raw) =>
      consume(new bindings.Account(), (stranger) =>
        consume(stranger.create_outbound_session(raw.curve25519_key, base64.encode(key)), (session) =>
          consume(session.encrypt(new Uint8Array(0)), (message) =>
            refusing(() =>
              raw.create_inbound_session(stranger.curve25519_key, PRE_KEY_MESSAGE, message.ciphertext).free(),
            ),
          ),
        ),
      ),
    );
    if ('ok' in result) return true;
    if (result.refused !== 'olm-unknown-key') throw new Error(`a key was not burnt: ${result.refused}`);
    return false;
  }

  startSession(peer: AgreementKey, oneTimeKey: AgreementKey): Session {
    for (const key of [peer, oneTimeKey]) {
      // The types promise it; a promise about known secrets is worth looking at twice.
      const parsed = parseAgreementKey(key);
      if ('refused' in parsed) throw new Error(`a key was given its type although it is ${parsed.refused}`);
    }
    const { encode } = this.#context.base64;
    const raw = this.#own.use((raw) => raw.create_outbound_session(encode(peer), encode(oneTimeKey)));
    return new VodozemacSession(this.#context, raw);
  }

  acceptSession(peer: AgreementKey, body: Uint8Array): Result<AcceptedSession, OlmRefusal> {
    const { encode } = this.#context.base64;
    return this.#own.use((raw) => {
      const message = readPreKeyMessage(body);
      if (message === undefined) return { refused: 'olm-malformed' };
      if (!equal(message.sender, peer)) return { refused: 'olm-undecryptable' };
      return refusing(() => {
        const created = raw.create_inbound_session(encode(peer), PRE_KEY_MESSAGE, encode(body));
        // Asking for the session frees the answer, so the plaintext comes first.
        const plaintext = created.plaintext;
        return { plaintext, session: new VodozemacSession(this.#context, created.session) };
      });
    });
  }

  oneTimeKeyIn(body: Uint8Array): Uint8Array | undefined {
    return this.#own.use(() => readPreKeyMessage(body)?.oneTimeKey);
  }

  pickle(key: Secret): Pickle {
    return this.#own.use((raw) => raw.pickle(pickleKey(key)) as Pickle);
  }

  dispose(): void {
    this.#own.dispose();
  }

  /** The engine lists keys as its hash table holds them; their ids count up as they are made. */
  #inOrder(keys: ReadonlyMap<string, string>): readonly string[] {
    const { decode } = this.#context.base64;
    return [...keys]
      .map(([id, key]) => ({ id: decode(id), key }))
      .sort((a, b) => compare(a.id, b.id))
      .map(({ key }) => key);
  }

  #ownKey(text: string): AgreementKey {
    const parsed = parseAgreementKey(this.#context.base64.decode(text));
    if ('refused' in parsed) throw new Error(`the engine made a one-time key that is ${parsed.refused}`);
    return parsed.ok;
  }
}
