/** An engine whose owner does not keep to the protocol: it says something else in its sessions than it was told to. */
import { decodeMessage, encodeMessage, type PairingMessage } from '../../../src/entities/pairing/messages.ts';
import { pad, unpad } from '../../../src/entities/wire/padding.ts';
import type { Account, Engine, Session } from '../../../src/usecases/ports/engine.ts';

export type Cheat = (message: PairingMessage, account: Account) => PairingMessage | Uint8Array;

export function cheatingEngine(engine: Engine, cheat: Cheat): Engine {
  let own: Account | undefined;

  function altered(padded: Uint8Array): Uint8Array {
    const text = unpad(padded);
    const [, step] = text ?? [];
    if (text === undefined || step === undefined || own === undefined) throw new Error('no message to alter');
    const message = decodeMessage(step as PairingMessage['step'], text);
    if ('refused' in message) throw new Error('no message to alter');
    const said = cheat(message.ok, own);
    return pad(said instanceof Uint8Array ? said : encodeMessage(said));
  }

  function session(real: Session): Session {
    return {
      id: real.id,
      get established() {
        return real.established;
      },
      encrypt: (plaintext) => real.encrypt(altered(plaintext)),
      decrypt: (message) => real.decrypt(message),
      matches: (message) => real.matches(message),
      pickle: (key) => real.pickle(key),
      dispose: () => real.dispose(),
    };
  }

  function account(real: Account): Account {
    own = real;
    return {
      keys: real.keys,
      sign: (statement) => real.sign(statement),
      createOneTimeKeys: (count) => real.createOneTimeKeys(count),
      burnOneTimeKey: (key) => real.burnOneTimeKey(key),
      startSession: (peer, key) => session(real.startSession(peer, key)),
      acceptSession(peer, body): ReturnType<Account['acceptSession']> {
        const accepted = real.acceptSession(peer, body);
        if ('refused' in accepted) return accepted;
        return { ok: { ...accepted.ok, session: session(accepted.ok.session) } };
      },
      oneTimeKeyIn: (body) => real.oneTimeKeyIn(body),
      pickle: (key) => real.pickle(key),
      dispose: () => real.dispose(),
    };
  }

  return {
    createAccount: () => account(engine.createAccount()),
    restoreAccount: (pickle, key) => account(engine.restoreAccount(pickle, key)),
    restoreSession: (pickle, key) => session(engine.restoreSession(pickle, key)),
    verify: (key, statement, signature) => engine.verify(key, statement, signature),
    createGroupSession: () => engine.createGroupSession(),
    restoreOutboundGroupSession: (pickle, key) => engine.restoreOutboundGroupSession(pickle, key),
    acceptGroupSession: (key) => engine.acceptGroupSession(key),
    importGroupSession: (key) => engine.importGroupSession(key),
    restoreInboundGroupSession: (pickle, key) => engine.restoreInboundGroupSession(pickle, key),
  };
}
