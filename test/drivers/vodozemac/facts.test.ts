/**
 * What we found out about the package by measuring, and what the driver and the layers above reckon with. When
 * a test here fails after an upgrade, the package has changed: read what depends on the fact before changing
 * the test. Everything here is asked of the package itself, not of our engine. It is one list and is read as
 * one, so it stays in one file.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Account, Session } from 'vodozemac-wasm-bindings';
import { nodeBase64 } from '../../../src/drivers/node/base64.ts';
import { loadBindings } from '../../../src/drivers/vodozemac/load-node.ts';
import type { Bindings } from '../../../src/drivers/vodozemac/loader.ts';
import { fromHex, toHex } from '../../../src/entities/bytes.ts';
import { existing, flipped, KEY_AT, overwritten, text } from '../../contracts/engine-cast.ts';
import { lowOrderEd25519, lowOrderX25519 } from '../../low-order-keys.ts';
import { realRandomness } from '../../randomness.ts';

const { encode, decode } = nodeBase64;
const PICKLE_KEY = new Uint8Array(32);
const script = createRequire(import.meta.url).resolve('vodozemac-wasm-bindings');

let raw: Bindings;
beforeAll(async () => {
  raw = await loadBindings(realRandomness);
});

function oneTimeKeys(account: Account, count: number): readonly string[] {
  account.generate_one_time_keys(count);
  const keys: ReadonlyMap<string, string> = account.one_time_keys;
  account.mark_keys_as_published();
  const age = (id: string): string => toHex(decode(id));
  return [...keys].sort(([a], [b]) => (age(a) < age(b) ? -1 : 1)).map(([, key]) => key);
}

interface Pair {
  readonly laptop: Account;
  readonly phone: Account;
  readonly laptopSession: Session;
  readonly phoneSession: Session;
  readonly first: string;
}

function pair(): Pair {
  const laptop = new raw.Account();
  const phone = new raw.Account();
  const laptopSession = laptop.create_outbound_session(
    phone.curve25519_key,
    existing(oneTimeKeys(phone, 1)[0]),
  );
  const first = laptopSession.encrypt(text('first')).ciphertext;
  const phoneSession = phone.create_inbound_session(laptop.curve25519_key, 0, first).session;
  laptopSession.decrypt(1, phoneSession.encrypt(text('welcome')).ciphertext);
  return { laptop, phone, laptopSession, phoneSession, first };
}

const flip = (message: string, bit: number): string => encode(flipped(decode(message), bit));
const flipLast = (message: string): string => flip(message, decode(message).length * 8 - 1);
const bodies = (session: Session, count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => session.encrypt(Uint8Array.of(n & 0xff)).ciphertext);

describe('loading', () => {
  it('panics where there is no window, and needs no randomness before it is used', async () => {
    const url = `${pathToFileURL(script).href}?facts`;
    const bindings: Bindings = await import(url);
    const wasm = readFileSync(script.replace('vodozemac.js', 'vodozemac_bg.wasm'));
    expect(() => bindings.initSync({ module: wasm })).toThrow(/unreachable/);
  });
});

describe('keys', () => {
  it('of low order are taken for a session', () => {
    const laptop = new raw.Account();
    const sound = new raw.Account().curve25519_key;
    for (const { key } of lowOrderX25519) {
      const unsound = encode(existing(fromHex(key)));
      expect(laptop.create_outbound_session(unsound, unsound).session_id).toHaveLength(43);
      expect(laptop.create_outbound_session(sound, unsound).session_id).toHaveLength(43);
    }
  });

  it('of low order pass for ratchet keys inside a message until its MAC is checked', () => {
    const { laptopSession, phoneSession } = pair();
    const message = decode(existing(bodies(laptopSession, 1)[0]));
    const unsound = overwritten(message, KEY_AT.ratchetKey, new Uint8Array(32));
    expect(() => phoneSession.decrypt(1, encode(unsound))).toThrow(
      /^Failed decrypting Olm message, invalid MAC/,
    );
  });

  it('of low order verify signatures that nobody made', () => {
    const identity = overwritten(new Uint8Array(32), 0, Uint8Array.of(1));
    const signature = overwritten(new Uint8Array(64), 0, identity);
    for (const message of ['a', 'b', 'c']) {
      expect(() => raw.verify_signature(encode(identity), text(message), encode(signature))).not.toThrow();
    }
    const verifies = (key: string, message: string): boolean => {
      try {
        raw.verify_signature(encode(existing(fromHex(key))), text(message), encode(signature));
        return true;
      } catch {
        return false;
      }
    };
    // Whether one passes depends on the message, which Mallory is free to choose.
    const messages = Array.from({ length: 64 }, (_, n) => `message ${n}`);
    const accepted = lowOrderEd25519.filter(({ key }) => messages.some((message) => verifies(key, message)));
    expect(accepted).toHaveLength(14);
  });

  it('verify signatures with a point of low order inside', () => {
    // The private scalar 1 belongs to the base point; with R = 1 then S is the challenge itself.
    const basePoint = existing(fromHex(`58${'66'.repeat(31)}`));
    const identity = overwritten(new Uint8Array(32), 0, Uint8Array.of(1));
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const digest = createHash('sha512').update(identity).update(basePoint).update('x').digest().reverse();
    const challenge = BigInt(`0x${toHex(digest)}`) % order;
    const s = existing(fromHex(challenge.toString(16).padStart(64, '0'))).reverse();
    const signature = overwritten(overwritten(new Uint8Array(64), 0, identity), 32, s);
    expect(() => raw.verify_signature(encode(basePoint), text('x'), encode(signature))).not.toThrow();
  });

  it('of low order are taken as the signing key of an imported group session', () => {
    const group = new raw.GroupSession();
    const exported = decode(existing(new raw.InboundGroupSession(group.session_key).export_at(0)));
    const unsound = overwritten(
      exported,
      KEY_AT.groupSigningKey,
      overwritten(new Uint8Array(32), 0, Uint8Array.of(1)),
    );
    expect(() => raw.InboundGroupSession.import(encode(unsound))).not.toThrow();
    const long = overwritten(new Uint8Array(exported.length + 1), 0, exported);
    expect(() => raw.InboundGroupSession.import(encode(long))).not.toThrow();
  });
});

describe('signatures', () => {
  it('are over a text, as its UTF-8', () => {
    const laptop = new raw.Account();
    const signature = laptop.sign('mesh ✓');
    expect(() => raw.verify_signature(laptop.ed25519_key, text('mesh ✓'), signature)).not.toThrow();
    expect(decode(signature)).toHaveLength(64);
  });

  it('that are refused are refused with one beginning', () => {
    const laptop = new raw.Account();
    const verify =
      (signature: string, key = laptop.ed25519_key) =>
      () =>
        raw.verify_signature(key, text('x'), signature);
    const signature = laptop.sign('x');
    for (let bit = 0; bit < 512; bit += 7)
      expect(verify(flip(signature, bit))).toThrow(/^The signature was invalid/);
    expect(verify(signature, encode(new Uint8Array(32).fill(2)))).toThrow(/^The signature was invalid/);
    expect(verify(encode(new Uint8Array(64).fill(255)))).toThrow(/^The signature was invalid/);
  });
});

describe('an Olm message', () => {
  it('is of version 3, with a MAC of 8 bytes', () => {
    const { laptopSession, first } = pair();
    expect(decode(first)[0]).toBe(3);
    const body = decode(laptopSession.encrypt(new Uint8Array(0)).ciphertext);
    expect(body[0]).toBe(3);
    // Version, ratchet key, index, one block of ciphertext, MAC.
    expect(body).toHaveLength(1 + 34 + 2 + 18 + 8);
  });

  it('of type 0 shows the keys of its sender and of its session in clear', () => {
    const { laptop, first } = pair();
    const at = KEY_AT.identityKey;
    expect(encode(decode(first).subarray(at, at + 32))).toBe(laptop.curve25519_key);
  });

  it('of type 0 is read by its session under any other keys around it', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    const outgoing = laptop.create_outbound_session(phone.curve25519_key, existing(oneTimeKeys(phone, 1)[0]));
    const [first, second] = bodies(outgoing, 2).map(decode);
    const incoming = phone.create_inbound_session(laptop.curve25519_key, 0, encode(existing(first))).session;
    const swapped = encode(overwritten(existing(second), KEY_AT.identityKey, new Uint8Array(32)));
    expect(incoming.session_matches(0, swapped)).toBe(false);
    expect(incoming.decrypt(0, swapped)).toEqual(Uint8Array.of(1));
  });
});

describe('a session', () => {
  it('skips 2000 messages and no more', () => {
    const { laptopSession, phoneSession } = pair();
    const stored = phoneSession.pickle(PICKLE_KEY);
    const messages = bodies(laptopSession, 2002);
    expect(() => phoneSession.decrypt(1, existing(messages[2001]))).toThrow(/^The message gap was too big/);
    const again = raw.Session.from_pickle(stored, PICKLE_KEY);
    expect(again.decrypt(1, existing(messages[2000]))).toHaveLength(1);
  });

  it('keeps the keys of 40 skipped messages, and drops the oldest silently', () => {
    const { laptopSession, phoneSession } = pair();
    const messages = bodies(laptopSession, 42);
    phoneSession.decrypt(1, existing(messages[41]));
    expect(() => phoneSession.decrypt(1, existing(messages[0]))).toThrow(
      /^The message key with the given key can't/,
    );
    for (const message of messages.slice(1, 41)) expect(phoneSession.decrypt(1, message)).toHaveLength(1);
  });

  it('keeps five receiving chains, and drops the oldest silently', () => {
    const { laptopSession, phoneSession } = pair();
    const late: string[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const [delayed, inTime] = bodies(laptopSession, 2);
      late.push(existing(delayed));
      phoneSession.decrypt(1, existing(inTime));
      laptopSession.decrypt(1, phoneSession.encrypt(text('turn')).ciphertext);
    }
    const outcome = late.map((message) => {
      const copy = raw.Session.from_pickle(phoneSession.pickle(PICKLE_KEY), PICKLE_KEY);
      try {
        copy.decrypt(1, message);
        return 'read';
      } catch {
        return 'lost';
      }
    });
    expect(outcome).toEqual(['lost', 'read', 'read', 'read', 'read', 'read']);
  });

  it('that has read and not yet answered is changed by a message that it refuses', () => {
    const { laptopSession, phoneSession } = pair();
    const [read, unknown] = bodies(laptopSession, 2);
    const underAnotherKey = flip(existing(unknown), (KEY_AT.ratchetKey + 3) * 8);
    const refuse = (): boolean => {
      const before = phoneSession.pickle(PICKLE_KEY);
      expect(() => phoneSession.decrypt(1, underAnotherKey)).toThrow(/^Failed decrypting Olm message/);
      return phoneSession.pickle(PICKLE_KEY) !== before;
    };
    expect(refuse()).toBe(false);
    phoneSession.decrypt(1, existing(read));
    expect(refuse()).toBe(true);
  });

  it('refuses with these texts', () => {
    const { laptopSession, phoneSession } = pair();
    const [used, fresh] = bodies(laptopSession, 2);
    phoneSession.decrypt(1, existing(used));
    const decrypt = (message: string) => () => phoneSession.decrypt(1, message);
    expect(decrypt(existing(used))).toThrow(/^The message key with the given key can't be created/);
    expect(decrypt(flipLast(existing(fresh)))).toThrow(/^Failed decrypting Olm message/);
    expect(decrypt('')).toThrow(/^The message didn't contain a version/);
    expect(decrypt(encode(Uint8Array.of(3)))).toThrow(/^The message was too short/);
    expect(decrypt(encode(new Uint8Array(40).fill(9)))).toThrow(/^The message didn't have a valid version/);
    expect(decrypt(encode(overwritten(new Uint8Array(40), 0, Uint8Array.of(3))))).toThrow(
      /^failed to decode Protobuf/,
    );
    expect(decrypt('***')).toThrow(/^Invalid symbol/);
  });
});

describe('an account', () => {
  it('refuses a first message with these texts, and loses nothing by it', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    const session = laptop.create_outbound_session(phone.curve25519_key, existing(oneTimeKeys(phone, 1)[0]));
    const first = session.encrypt(text('first')).ciphertext;
    const before = phone.pickle(PICKLE_KEY);
    const accept =
      (message: string, from = laptop.curve25519_key) =>
      () =>
        phone.create_inbound_session(from, 0, message);
    const otherKey = flip(first, KEY_AT.oneTimeKey * 8);
    expect(accept(otherKey)).toThrow(/^The pre-key message contained an unknown one-time key/);
    expect(accept(first, phone.curve25519_key)).toThrow(/^The given identity key doesn't match/);
    expect(accept(flipLast(first))).toThrow(
      /^The message that was used to establish the Session couldn't be dec/,
    );
    expect(accept(encode(Uint8Array.of(3)))).toThrow(/^The message contained an invalid public key/);
    expect(phone.pickle(PICKLE_KEY)).toBe(before);
    accept(first)();
    expect(phone.pickle(PICKLE_KEY)).not.toBe(before);
    expect(accept(first)).toThrow(/^The pre-key message contained an unknown one-time key/);
    const restored = raw.Account.from_pickle(before, PICKLE_KEY);
    expect(restored.create_inbound_session(laptop.curve25519_key, 0, first).plaintext).toEqual(text('first'));
  });

  it('never uses up a fallback key, so a replayed first message begins a session again', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    phone.generate_fallback_key();
    const fallback: ReadonlyMap<string, string> = phone.fallback_key;
    const session = laptop.create_outbound_session(phone.curve25519_key, existing([...fallback.values()][0]));
    const first = session.encrypt(text('first')).ciphertext;
    for (let replay = 0; replay < 3; replay++) {
      expect(phone.create_inbound_session(laptop.curve25519_key, 0, first).plaintext).toEqual(text('first'));
    }
  });

  it('advises 50 one-time keys, and 245 work', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    expect(phone.max_number_of_one_time_keys).toBe(50);
    const keys = oneTimeKeys(phone, 245);
    expect(new Set(keys).size).toBe(245);
    for (const key of [keys[0], keys[244]]) {
      const message = laptop
        .create_outbound_session(phone.curve25519_key, existing(key))
        .encrypt(text('hello'));
      expect(phone.create_inbound_session(laptop.curve25519_key, 0, message.ciphertext).plaintext).toEqual(
        text('hello'),
      );
    }
  });

  it('lists its fresh one-time keys in no order, under ids that count up', () => {
    const phone = new raw.Account();
    phone.generate_one_time_keys(20);
    const keys: ReadonlyMap<string, string> = phone.one_time_keys;
    const ids = [...keys.keys()].map((id) => decode(id)[7]);
    expect(ids).not.toEqual([...Array(20).keys()]);
    expect(new Set(ids)).toEqual(new Set(Array(20).keys()));
  });

  it('keeps 5000 one-time keys, and then drops the oldest silently', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    const keys = oneTimeKeys(phone, 5000);
    const accepts = (key: string): boolean => {
      const { ciphertext } = laptop.create_outbound_session(phone.curve25519_key, key).encrypt(text('hello'));
      try {
        phone.create_inbound_session(laptop.curve25519_key, 0, ciphertext);
        return true;
      } catch {
        return false;
      }
    };
    oneTimeKeys(phone, 2);
    expect(keys).toHaveLength(5000);
    expect([0, 1, 2, 4999].map((n) => accepts(existing(keys[n])))).toEqual([false, false, true, true]);
  });
});

describe('a Megolm session', () => {
  it('decrypts a replay as if it were new', () => {
    const group = new raw.GroupSession();
    const member = new raw.InboundGroupSession(group.session_key);
    const message = group.encrypt(text('again'));
    for (let replay = 0; replay < 3; replay++)
      expect(member.decrypt(message).plaintext).toEqual(text('again'));
  });

  it('refuses with these texts', () => {
    const group = new raw.GroupSession();
    const early = group.encrypt(text('early'));
    const key = group.session_key;
    const member = new raw.InboundGroupSession(key);
    const message = group.encrypt(text('late'));
    const decrypt = (body: string) => () => member.decrypt(body);
    expect(decrypt(early)).toThrow(/^The message was encrypted using an unknown message index/);
    expect(decrypt(flipLast(message))).toThrow(/^The signature on the message was invalid/);
    expect(decrypt('')).toThrow(/^The message didn't contain a version/);
    expect(decrypt(encode(Uint8Array.of(3)))).toThrow(/^The message was too short/);
    expect(() => new raw.InboundGroupSession(flipLast(key))).toThrow(
      /^The signature on the session key was invalid/,
    );
    const exported = decode(existing(member.export_at(1)));
    const noPoint = overwritten(exported, KEY_AT.groupSigningKey, new Uint8Array(32).fill(2));
    expect(() => raw.InboundGroupSession.import(encode(noPoint))).toThrow(
      /^The public key of session was invalid/,
    );
  });
});

describe('a pickle', () => {
  it('is the same each time, for the same state and key', () => {
    const { laptop, laptopSession } = pair();
    expect(laptop.pickle(PICKLE_KEY)).toBe(laptop.pickle(PICKLE_KEY));
    expect(laptopSession.pickle(PICKLE_KEY)).toBe(laptopSession.pickle(PICKLE_KEY));
  });

  it('has a MAC of 8 bytes behind whole blocks', () => {
    const { laptop } = pair();
    expect(decode(laptop.pickle(PICKLE_KEY)).length % 16).toBe(8);
  });

  it('is refused with texts of one beginning', () => {
    const pickle = new raw.Account().pickle(PICKLE_KEY);
    const read =
      (damaged: string, key = PICKLE_KEY) =>
      () =>
        raw.Account.from_pickle(damaged, key);
    for (const call of [
      read(flipLast(pickle)),
      read(''),
      read('***'),
      read(pickle, new Uint8Array(32).fill(1)),
    ]) {
      expect(call).toThrow(/^The pickle /);
    }
    expect(() => raw.Session.from_pickle(pickle, PICKLE_KEY)).toThrow(/^The pickle /);
  });
});

describe('an object', () => {
  it('that was freed is noticed by the package only as a null pointer', () => {
    const laptop = new raw.Account();
    laptop.free();
    expect(() => laptop.sign('x')).toThrow(/^null pointer/);
    expect(() => laptop.free()).toThrow(/^null pointer/);
  });

  it('that answers the first message is gone with its session, and its plaintext before', () => {
    const laptop = new raw.Account();
    const phone = new raw.Account();
    const session = laptop.create_outbound_session(phone.curve25519_key, existing(oneTimeKeys(phone, 1)[0]));
    const answer = phone.create_inbound_session(
      laptop.curve25519_key,
      0,
      session.encrypt(text('x')).ciphertext,
    );
    expect([answer.plaintext, answer.plaintext]).toEqual([text('x'), text('x')]);
    answer.session.free();
    expect(() => answer.plaintext).toThrow(/^null pointer/);
  });
});
