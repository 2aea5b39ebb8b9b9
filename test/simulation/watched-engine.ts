/**
 * The real engine, watched: every ratchet key is noted with what it encrypted and showed, and what left can be looked
 * up again by its ciphertext, so that checks at the ports see plaintext without breaking anything. Each device has
 * its own, so that it is known who reads and who writes; all of them share one ledger.
 */

import { readPreKeyMessage } from '../../src/drivers/vodozemac/olm-message.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { Account, Engine, OutboundGroupSession, Session } from '../../src/usecases/ports/engine.ts';

export interface EngineWatcher {
  /** A ratchet is about to be asked to read this. */
  onReading(body: Uint8Array): void;
  onRead(body: Uint8Array): void;
  /** Something was encrypted, whether or not it will ever leave. */
  onWritten(plaintext: Uint8Array): void;
  /** A group session was begun; the key reads all of it. */
  onGroupSession(session: Uint8Array, key: Uint8Array): void;
  onGroupText(session: Uint8Array, index: number, ciphertext: Uint8Array): void;
}

/** What went through all engines of a simulation. */
export class Ledger {
  readonly #plaintexts = new Map<string, Uint8Array>();
  readonly #keys = new Map<string, string>();
  readonly #shownByKey = new Map<string, Uint8Array>();
  readonly #onKeyReuse: (before: Uint8Array, now: Uint8Array) => void;
  /** How many sessions were begun by devices that do as they should. */
  begun = 0;

  constructor(onKeyReuse: (before: Uint8Array, now: Uint8Array) => void) {
    this.#onKeyReuse = onKeyReuse;
  }

  note(body: Uint8Array, type: 0 | 1, plaintext: Uint8Array): void {
    this.#plaintexts.set(toHex(body), plaintext);
    this.#keys.set(toHex(body), ratchetKeyOf(body, type));
  }

  plaintextOf(body: Uint8Array): Uint8Array | undefined {
    return this.#plaintexts.get(toHex(body));
  }

  /** This ciphertext has left its device. One that never did, because the power went, harms nobody. */
  left(body: Uint8Array): void {
    const name = toHex(body);
    const key = this.#keys.get(name);
    const plaintext = this.#plaintexts.get(name);
    if (key === undefined || plaintext === undefined) return;
    const before = this.#shownByKey.get(key);
    if (before !== undefined && toHex(before) !== toHex(plaintext)) this.#onKeyReuse(before, plaintext);
    this.#shownByKey.set(key, plaintext);
  }
}

/** What a program that is not the product does with the engine. */
export interface Tampering {
  /** What is encrypted in the place of a plaintext. */
  instead(plaintext: Uint8Array): Uint8Array;
  /** Statements that this program does not want to be true. */
  denies(digest: Uint8Array): boolean;
}

export class WatchedEngine implements Engine {
  readonly #engine: Engine;
  readonly #ledger: Ledger;
  readonly #watcher: EngineWatcher;
  /** Set once the device is in Mallory's hands. */
  tampering: Tampering | undefined;

  constructor(engine: Engine, ledger: Ledger, watcher: EngineWatcher) {
    this.#engine = engine;
    this.#ledger = ledger;
    this.#watcher = watcher;
  }

  #session(session: Session): Session {
    return {
      id: session.id,
      get established() {
        return session.established;
      },
      encrypt: (plaintext) => {
        const text = this.tampering?.instead(plaintext) ?? plaintext;
        const message = session.encrypt(text);
        this.#ledger.note(message.body, message.type, text.slice());
        this.#watcher.onWritten(text);
        return message;
      },
      decrypt: (message) => {
        this.#watcher.onReading(message.body);
        const read = session.decrypt(message);
        if ('ok' in read) this.#watcher.onRead(message.body);
        return read;
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
        if (this.tampering === undefined) this.#ledger.begun++;
        return this.#session(account.startSession(peer, key));
      },
      acceptSession: (peer, body) => {
        this.#watcher.onReading(body);
        const accepted = account.acceptSession(peer, body);
        if ('refused' in accepted) return accepted;
        this.#watcher.onRead(body);
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
    if (this.tampering?.denies(statement.digest) === true) return false;
    return this.#engine.verify(key, statement, signature);
  };
  #groupSession(session: OutboundGroupSession): OutboundGroupSession {
    const { id } = session;
    return {
      id,
      get nextIndex() {
        return session.nextIndex;
      },
      shareKey: () => session.shareKey(),
      encrypt: (plaintext) => {
        const index = session.nextIndex;
        const ciphertext = session.encrypt(plaintext);
        this.#watcher.onGroupText(id, index, ciphertext);
        return ciphertext;
      },
      pickle: (key) => session.pickle(key),
      dispose: () => session.dispose(),
    };
  }

  createGroupSession: Engine['createGroupSession'] = () =>
    this.#groupSession(this.#engine.createGroupSession());
  restoreOutboundGroupSession: Engine['restoreOutboundGroupSession'] = (pickle, key) =>
    this.#groupSession(this.#engine.restoreOutboundGroupSession(pickle, key));
  acceptGroupSession: Engine['acceptGroupSession'] = (key) => {
    const accepted = this.#engine.acceptGroupSession(key);
    const exported = 'ok' in accepted ? accepted.ok.exportFrom(accepted.ok.firstIndex) : undefined;
    if ('ok' in accepted && exported !== undefined) {
      this.#watcher.onGroupSession(accepted.ok.id, exported.expose());
    }
    return accepted;
  };
  importGroupSession: Engine['importGroupSession'] = (key) => this.#engine.importGroupSession(key);
  restoreInboundGroupSession: Engine['restoreInboundGroupSession'] = (pickle, key) =>
    this.#engine.restoreInboundGroupSession(pickle, key);
}

/**
 * Ratchet key and index of an Olm message: together they name one message key. In a message of type 0 the inner
 * message is the last field.
 */
function ratchetKeyOf(body: Uint8Array, type: 0 | 1): string {
  if (type === 1) return toHex(body.subarray(0, indexEnd(body, 0)));
  if (readPreKeyMessage(body) === undefined) throw new Error('the engine made a message that cannot be read');
  // Version, three fields of 34 bytes, then the inner message's tag and length.
  let at = 1 + 3 * 34 + 1;
  while (((body[at++] ?? 0) & 0x80) !== 0);
  return toHex(body.subarray(at, indexEnd(body, at)));
}

/** Version byte, tag and length and 32 bytes of ratchet key, tag and varint of the index. */
function indexEnd(body: Uint8Array, start: number): number {
  let at = start + 1 + 34 + 1;
  while (((body[at++] ?? 0) & 0x80) !== 0);
  return at;
}
