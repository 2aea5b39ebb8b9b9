/** An engine that counts its work, and lets a test look at or change what goes through its sessions. */
import { toHex } from '../../../src/entities/bytes.ts';
import type {
  Account,
  Engine,
  OlmMessage,
  OlmRefusal,
  OutboundGroupSession,
  Session,
} from '../../../src/usecases/ports/engine.ts';

export class HookedEngine implements Engine {
  readonly #engine: Engine;
  /** Calls that move a ratchet, or cost as much. */
  readonly counts = {
    encrypt: 0,
    decrypt: 0,
    startSession: 0,
    acceptSession: 0,
    verify: 0,
    createGroupSession: 0,
    encryptForGroup: 0,
  };
  /** Every key of a group session that it was given. */
  readonly groupKeys: Uint8Array[] = [];
  /** Called before a session decrypts; what it throws, the engine throws. */
  beforeDecrypt: (sessionId: Uint8Array, message: OlmMessage) => void = () => undefined;
  /** Makes a session refuse a message that it could read. */
  refuse: (message: OlmMessage) => OlmRefusal | undefined = () => undefined;
  /** Called with what was decrypted. */
  afterDecrypt: (plaintext: Uint8Array) => void = () => undefined;
  /** What is encrypted in the place of a plaintext. */
  instead: (plaintext: Uint8Array) => Uint8Array = (plaintext) => plaintext;

  /** What is sent in the place of a ciphertext for a circle. */
  insteadForGroup: (ciphertext: Uint8Array) => Uint8Array = (ciphertext) => ciphertext;

  /** What every ciphertext that was made in the rig holds. */
  readonly #plaintexts: Map<string, Uint8Array>;

  constructor(engine: Engine, plaintexts: Map<string, Uint8Array>) {
    this.#engine = engine;
    this.#plaintexts = plaintexts;
  }

  #session(session: Session): Session {
    return {
      id: session.id,
      get established() {
        return session.established;
      },
      encrypt: (plaintext) => {
        this.counts.encrypt++;
        const text = this.instead(plaintext);
        const message = session.encrypt(text);
        this.#plaintexts.set(toHex(message.body), text.slice());
        return message;
      },
      decrypt: (message) => {
        this.counts.decrypt++;
        this.beforeDecrypt(session.id, message);
        const refused = this.refuse(message);
        if (refused !== undefined) return { refused };
        const decrypted = session.decrypt(message);
        if ('ok' in decrypted) this.afterDecrypt(decrypted.ok);
        return decrypted;
      },
      matches: (message) => session.matches(message),
      pickle: (key) => session.pickle(key),
      dispose: () => session.dispose(),
    };
  }

  #account(account: Account): Account {
    return {
      keys: account.keys,
      sign: (statement) => account.sign(statement),
      createOneTimeKeys: (count) => account.createOneTimeKeys(count),
      burnOneTimeKey: (key) => account.burnOneTimeKey(key),
      startSession: (peer, key) => {
        this.counts.startSession++;
        return this.#session(account.startSession(peer, key));
      },
      acceptSession: (peer, body) => {
        this.counts.acceptSession++;
        const accepted = account.acceptSession(peer, body);
        if ('refused' in accepted) return accepted;
        this.afterDecrypt(accepted.ok.plaintext);
        return { ok: { ...accepted.ok, session: this.#session(accepted.ok.session) } };
      },
      oneTimeKeyIn: (body) => account.oneTimeKeyIn(body),
      pickle: (key) => account.pickle(key),
      dispose: () => account.dispose(),
    };
  }

  createAccount: Engine['createAccount'] = () => this.#account(this.#engine.createAccount());
  restoreAccount: Engine['restoreAccount'] = (pickle, key) =>
    this.#account(this.#engine.restoreAccount(pickle, key));
  restoreSession: Engine['restoreSession'] = (pickle, key) =>
    this.#session(this.#engine.restoreSession(pickle, key));
  verify: Engine['verify'] = (key, statement, signature) => {
    this.counts.verify++;
    return this.#engine.verify(key, statement, signature);
  };
  #groupSession(session: OutboundGroupSession): OutboundGroupSession {
    return {
      id: session.id,
      get nextIndex() {
        return session.nextIndex;
      },
      shareKey: () => session.shareKey(),
      encrypt: (plaintext) => {
        this.counts.encryptForGroup++;
        return this.insteadForGroup(session.encrypt(plaintext));
      },
      pickle: (key) => session.pickle(key),
      dispose: () => session.dispose(),
    };
  }

  createGroupSession: Engine['createGroupSession'] = () => {
    this.counts.createGroupSession++;
    return this.#groupSession(this.#engine.createGroupSession());
  };
  restoreOutboundGroupSession: Engine['restoreOutboundGroupSession'] = (pickle, key) =>
    this.#groupSession(this.#engine.restoreOutboundGroupSession(pickle, key));
  acceptGroupSession: Engine['acceptGroupSession'] = (key) => this.#engine.acceptGroupSession(key);
  importGroupSession: Engine['importGroupSession'] = (key) => {
    this.groupKeys.push(key.expose().slice());
    return this.#engine.importGroupSession(key);
  };
  restoreInboundGroupSession: Engine['restoreInboundGroupSession'] = (pickle, key) =>
    this.#engine.restoreInboundGroupSession(pickle, key);
}
