import { beforeAll, describe, expect, it } from 'vitest';
import { MeshError } from '../../src/entities/errors.ts';
import { Secret } from '../../src/entities/secret.ts';
import type { Engine, Handle } from '../../src/usecases/ports/engine.ts';
import type { MakeEngine } from './engine.ts';
import { converse, existing, granted, pickleKey, text } from './engine-cast.ts';

interface Case {
  readonly handle: Handle;
  readonly calls: Readonly<Record<string, () => unknown>>;
}

/** One of each kind of handle, and everything that can be asked of it. */
export function everyHandle(engine: Engine): Readonly<Record<string, Case>> {
  const { laptop: account, phone, laptopSession: session, first } = converse(engine);
  const oneTimeKey = existing(phone.createOneTimeKeys(1)[0]);
  const outbound = engine.createGroupSession();
  const inbound = granted(engine.acceptGroupSession(outbound.shareKey()));
  const message = outbound.encrypt(text('group'));
  return {
    account: {
      handle: account,
      calls: {
        sign: () => account.sign({ label: 'test', digest: new Uint8Array(32) }),
        createOneTimeKeys: () => account.createOneTimeKeys(1),
        burnOneTimeKey: () => account.burnOneTimeKey(oneTimeKey),
        startSession: () => account.startSession(phone.keys.agreement, oneTimeKey),
        acceptSession: () => account.acceptSession(phone.keys.agreement, first.body),
        acceptNothing: () => account.acceptSession(phone.keys.agreement, new Uint8Array(0)),
        oneTimeKeyIn: () => account.oneTimeKeyIn(first.body),
        pickle: () => account.pickle(pickleKey()),
      },
    },
    session: {
      handle: session,
      calls: {
        id: () => session.id,
        established: () => session.established,
        encrypt: () => session.encrypt(text('x')),
        decrypt: () => session.decrypt(first),
        decryptNothing: () => session.decrypt({ type: 1, body: new Uint8Array(0) }),
        matches: () => session.matches(first),
        pickle: () => session.pickle(pickleKey()),
      },
    },
    outbound: {
      handle: outbound,
      calls: {
        id: () => outbound.id,
        nextIndex: () => outbound.nextIndex,
        shareKey: () => outbound.shareKey(),
        encrypt: () => outbound.encrypt(text('x')),
        pickle: () => outbound.pickle(pickleKey()),
      },
    },
    inbound: {
      handle: inbound,
      calls: {
        id: () => inbound.id,
        firstIndex: () => inbound.firstIndex,
        decrypt: () => inbound.decrypt(message),
        decryptNothing: () => inbound.decrypt(new Uint8Array(0)),
        exportFrom: () => inbound.exportFrom(0),
        pickle: () => inbound.pickle(pickleKey()),
      },
    },
  };
}

export function handleContract(makeEngine: MakeEngine): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeEngine();
  });

  describe('a handle', () => {
    it('answers until it is disposed of, and every later call is a bug', () => {
      for (const [kind, { handle, calls }] of Object.entries(everyHandle(engine))) {
        for (const [name, call] of Object.entries(calls)) expect(call, `${kind}.${name}`).not.toThrow();
        handle.dispose();
        for (const [name, call] of Object.entries(calls)) {
          expect(call, `${kind}.${name}`).toThrow(Error);
          expect(call, `${kind}.${name}`).not.toThrow(MeshError);
        }
      }
    });

    it('can be disposed of twice', () => {
      for (const { handle } of Object.values(everyHandle(engine))) {
        handle.dispose();
        expect(() => handle.dispose()).not.toThrow();
      }
    });

    it('is independent of the others: an account can go before its sessions', () => {
      const { laptop, phone, laptopSession, phoneSession } = converse(engine);
      laptop.dispose();
      phone.dispose();
      expect(phoneSession.decrypt(laptopSession.encrypt(text('on our own')))).toHaveProperty('ok');
    });

    it('takes pickle keys of 32 bytes only', () => {
      const { laptop } = converse(engine);
      const pickle = laptop.pickle(pickleKey());
      const short = new Secret(pickleKey().expose().subarray(1));
      for (const call of [() => laptop.pickle(short), () => engine.restoreAccount(pickle, short)]) {
        expect(call).toThrow(Error);
        expect(call).not.toThrow(MeshError);
      }
    });
  });
}
