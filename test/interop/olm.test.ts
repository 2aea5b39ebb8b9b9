/**
 * Olm is spoken by others: here our engine talks to libolm, which shares no code with it. Libolm carries text only,
 * so the payloads are text. Megolm has a file of its own.
 */
import Olm from '@matrix-org/olm';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeBase64 } from '../../src/drivers/node/base64.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { type AgreementKey, parseAgreementKey, parseSigningKey } from '../../src/entities/keys.ts';
import { fromUtf8 } from '../../src/entities/text.ts';
import type { Account, Engine, OlmMessage, Session } from '../../src/usecases/ports/engine.ts';
import { existing, granted, pickleKey, text } from '../contracts/engine-cast.ts';
import { realRandomness } from '../randomness.ts';

const { encode, decode } = nodeBase64;
const words = fc.string({ unit: 'grapheme', maxLength: 200 });

let engine: Engine;
beforeAll(async () => {
  await Olm.init();
  engine = await loadEngine(realRandomness);
});

const agreementKey = (key: string): AgreementKey => granted(parseAgreementKey(decode(key)));

interface Theirs {
  readonly account: Olm.Account;
  readonly agreement: AgreementKey;
  readonly signing: string;
}

function theirDevice(): Theirs {
  const account = new Olm.Account();
  account.create();
  const { curve25519, ed25519 } = JSON.parse(account.identity_keys());
  return { account, agreement: agreementKey(curve25519), signing: ed25519 };
}

function theirOneTimeKey(account: Olm.Account): AgreementKey {
  account.generate_one_time_keys(1);
  const keys: Readonly<Record<string, string>> = JSON.parse(account.one_time_keys()).curve25519;
  account.mark_keys_as_published();
  return agreementKey(existing(Object.values(keys)[0]));
}

function fromThem(message: { readonly type: 0 | 1; readonly body: string }): OlmMessage {
  return { type: message.type, body: decode(message.body) };
}

function expectConversation(ours: Session, theirs: Olm.Session): void {
  fc.assert(
    fc.property(words, fc.boolean(), (message, outward) => {
      if (outward) {
        const { type, body } = ours.encrypt(text(message));
        expect(theirs.decrypt(type, encode(body))).toBe(message);
      } else {
        const plaintext = granted(ours.decrypt(fromThem(theirs.encrypt(message))));
        expect(fromUtf8(plaintext)).toBe(message);
      }
    }),
    { numRuns: 40 },
  );
}

interface Conversation {
  readonly ours: Session;
  readonly theirs: Olm.Session;
}

function begunByUs(laptop: Account, phone: Theirs): Conversation {
  const ours = laptop.startSession(phone.agreement, theirOneTimeKey(phone.account));
  const first = ours.encrypt(text('from ours'));
  expect(first.type).toBe(0);
  const theirs = new Olm.Session();
  theirs.create_inbound_from(phone.account, encode(laptop.keys.agreement), encode(first.body));
  phone.account.remove_one_time_keys(theirs);
  expect(theirs.decrypt(0, encode(first.body))).toBe('from ours');
  return { ours, theirs };
}

function begunByThem(laptop: Account, phone: Theirs): Conversation {
  const [oneTimeKey] = laptop.createOneTimeKeys(1);
  const theirs = new Olm.Session();
  theirs.create_outbound(phone.account, encode(laptop.keys.agreement), encode(existing(oneTimeKey)));
  const first = fromThem(theirs.encrypt('from theirs'));
  expect(first.type).toBe(0);
  const { session, plaintext } = granted(laptop.acceptSession(phone.agreement, first.body));
  expect(plaintext).toEqual(text('from theirs'));
  expect(session.matches(first)).toBe(true);
  return { ours: session, theirs };
}

describe('an Olm session with libolm', () => {
  for (const [how, begin] of [
    ['begun by us', begunByUs],
    ['begun by them', begunByThem],
  ] as const) {
    it(`${how} has one id and carries messages both ways`, () => {
      const { ours, theirs } = begin(engine.createAccount(), theirDevice());
      expect(encode(ours.id)).toBe(theirs.session_id());
      expectConversation(ours, theirs);
      expect([ours.established, theirs.has_received_message()]).toEqual([true, true]);
      expect(ours.encrypt(text('last')).type).toBe(1);
      expect(theirs.encrypt('last').type).toBe(1);
    });

    it(`${how} goes on from our pickle`, () => {
      const { ours, theirs } = begin(engine.createAccount(), theirDevice());
      expectConversation(engine.restoreSession(ours.pickle(pickleKey()), pickleKey()), theirs);
    });
  }

  it('reads later messages of type 0, out of order, in both directions', () => {
    const laptop = engine.createAccount();
    const phone = theirDevice();
    const { ours, theirs } = begunByThem(laptop, phone);
    const [second, third] = ['second', 'third'].map((message) => fromThem(theirs.encrypt(message)));
    expect([second?.type, third?.type]).toEqual([0, 0]);
    expect(ours.decrypt(existing(third))).toEqual({ ok: text('third') });
    expect(ours.decrypt(existing(second))).toEqual({ ok: text('second') });

    const reverse = begunByUs(laptop, phone);
    const [next, last] = ['next', 'last'].map((message) => reverse.ours.encrypt(text(message)));
    expect(reverse.theirs.decrypt(0, encode(existing(last).body))).toBe('last');
    expect(reverse.theirs.decrypt(0, encode(existing(next).body))).toBe('next');
  });
});

describe('a signature', () => {
  const statement = { label: 'interop', digest: new Uint8Array(32).fill(0xab) };
  const signed = `trusted-mesh interop ${'ab'.repeat(32)}`;

  it('of ours is over the text that the protocol says, as they find', () => {
    const laptop = engine.createAccount();
    const signature = encode(laptop.sign(statement));
    const utility = new Olm.Utility();
    expect(() => utility.ed25519_verify(encode(laptop.keys.signing), signed, signature)).not.toThrow();
    expect(() => utility.ed25519_verify(encode(laptop.keys.signing), `${signed} `, signature)).toThrow();
  });

  it('of theirs over that text is accepted by us', () => {
    const phone = theirDevice();
    const key = granted(parseSigningKey(decode(phone.signing)));
    expect(engine.verify(key, statement, decode(phone.account.sign(signed)))).toBe(true);
    expect(engine.verify(key, statement, decode(phone.account.sign(`${signed} `)))).toBe(false);
  });
});
