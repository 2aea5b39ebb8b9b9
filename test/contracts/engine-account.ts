import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../src/entities/bytes.ts';
import {
  type AgreementKey,
  parseDeviceKeys,
  parseSigningKey,
  type SigningKey,
} from '../../src/entities/keys.ts';
import {
  type Engine,
  type Pickle,
  SIGNATURE_BYTES,
  type Statement,
} from '../../src/usecases/ports/engine.ts';
import { lowOrderEd25519, lowOrderX25519 } from '../low-order-keys.ts';
import type { MakeEngine } from './engine.ts';
import {
  existing,
  flipped,
  granted,
  introduce,
  KEY_AT,
  otherPickleKey,
  overwritten,
  pickleKey,
  text,
} from './engine-cast.ts';

/** The order of the signature's group, little end first. */
const GROUP_ORDER = existing(fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010'));

const BASE_POINT = existing(fromHex(`58${'66'.repeat(31)}`));

const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes.slice().reverse())}`);

/** Another signature for the same statement, which a checker that is not strict takes for valid. */
function withLargerS(signature: Uint8Array): Uint8Array {
  const copy = signature.slice();
  let carry = 0;
  for (let i = 0; i < 32; i++) {
    const sum = (copy[32 + i] ?? 0) + (GROUP_ORDER[i] ?? 0) + carry;
    copy[32 + i] = sum & 0xff;
    carry = sum >> 8;
  }
  return copy;
}

export function accountContract(makeEngine: MakeEngine): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeEngine();
  });

  const digest = new Uint8Array(32).fill(5);
  const statement: Statement = { label: 'roster entry v1', digest };

  describe('an account', () => {
    it('has two sound keys of its own', () => {
      const laptop = engine.createAccount();
      const phone = engine.createAccount();
      expect(parseDeviceKeys(laptop.keys.signing, laptop.keys.agreement)).toEqual({ ok: laptop.keys });
      expect(laptop.keys).not.toEqual(phone.keys);
    });

    it('comes back from its pickle with its keys and its one-time keys', () => {
      const { laptop, phone, first } = introduce(engine);
      const restored = engine.restoreAccount(phone.pickle(pickleKey()), pickleKey());
      expect(restored.keys).toEqual(phone.keys);
      expect(granted(restored.acceptSession(laptop.keys.agreement, first.body)).plaintext).toEqual(
        text('first'),
      );
    });

    it('does not come back with another key, from an altered pickle or from a pickle of another kind', () => {
      const laptop = engine.createAccount();
      const pickle = laptop.pickle(pickleKey());
      const damaged: readonly (() => unknown)[] = [
        () => engine.restoreAccount(pickle, otherPickleKey()),
        () => engine.restoreAccount(pickle.slice(0, -4) as Pickle, pickleKey()),
        () => engine.restoreAccount('' as Pickle, pickleKey()),
        () => engine.restoreAccount('no pickle' as Pickle, pickleKey()),
        () => engine.restoreAccount(engine.createGroupSession().pickle(pickleKey()), pickleKey()),
        () => engine.restoreSession(pickle, pickleKey()),
        () => engine.restoreOutboundGroupSession(pickle, pickleKey()),
        () => engine.restoreInboundGroupSession(pickle, pickleKey()),
      ];
      for (const restore of damaged)
        expect(restore).toThrow(expect.objectContaining({ code: 'pickle-damaged' }));
    });
  });

  describe('a signature', () => {
    it('is accepted for its statement, and for no other statement and no other device', () => {
      const laptop = engine.createAccount();
      const tablet = engine.createAccount();
      const signature = laptop.sign(statement);
      const { signing } = laptop.keys;
      expect(signature).toHaveLength(SIGNATURE_BYTES);
      expect(engine.verify(signing, statement, signature)).toBe(true);
      expect(engine.verify(tablet.keys.signing, statement, signature)).toBe(false);
      expect(engine.verify(signing, { ...statement, label: 'roster entry v2' }, signature)).toBe(false);
      fc.assert(
        fc.property(fc.nat(32 * 8 - 1), (bit) => {
          const altered = { ...statement, digest: flipped(digest, bit) };
          expect(engine.verify(signing, altered, signature)).toBe(false);
        }),
        { numRuns: 30 },
      );
    });

    it('is refused with any bit changed, at any other length and in its second form', () => {
      const laptop = engine.createAccount();
      const signature = laptop.sign(statement);
      const check = (altered: Uint8Array) => engine.verify(laptop.keys.signing, statement, altered);
      fc.assert(
        fc.property(fc.nat(SIGNATURE_BYTES * 8 - 1), (bit) => {
          expect(check(flipped(signature, bit))).toBe(false);
        }),
        { numRuns: 100 },
      );
      for (const length of [0, 32, 63]) expect(check(signature.subarray(0, length))).toBe(false);
      expect(check(Uint8Array.of(...signature, 0))).toBe(false);
      expect(check(withLargerS(signature))).toBe(false);
    });

    it('is refused where Mallory invents it for a key of low order, or with a point of low order inside', () => {
      const laptop = engine.createAccount();
      const forgeries = [
        ...lowOrderEd25519.map(({ key }) => concat(existing(fromHex(key)), new Uint8Array(32))),
        // R = B with S = 1 holds for a key of order 1.
        concat(BASE_POINT, Uint8Array.of(1), new Uint8Array(31)),
      ];
      for (const { key, comment } of lowOrderEd25519) {
        const point = existing(fromHex(key));
        // S = 0 with R = A satisfies the equation for a share of all statements, so Mallory tries many.
        for (let attempt = 0; attempt < 16; attempt++) {
          const tried = { label: 'roster entry v1', digest: new Uint8Array(32).fill(attempt) };
          for (const forged of forgeries) {
            expect(engine.verify(point as SigningKey, tried, forged), comment).toBe(false);
          }
        }
        const signature = overwritten(laptop.sign(statement), 0, point);
        expect(engine.verify(laptop.keys.signing, statement, signature)).toBe(false);
      }
    });

    it('is refused with a point of low order inside, even where its maker knows the private key', () => {
      // The private scalar 1 belongs to the base point; with R = 1 then S is the challenge itself.
      const identity = concat(Uint8Array.of(1), new Uint8Array(31));
      const message = text(`trusted-mesh ${statement.label} ${toHex(digest)}`);
      const challenge =
        littleEndian(sha512(concat(identity, BASE_POINT, message))) % littleEndian(GROUP_ORDER);
      const s = existing(fromHex(challenge.toString(16).padStart(64, '0'))).reverse();
      expect(engine.verify(BASE_POINT as SigningKey, statement, concat(identity, s))).toBe(false);
      expect(parseSigningKey(BASE_POINT)).toEqual({ ok: BASE_POINT });
    });

    it('is for labels of the fixed alphabet and whole hashes only', () => {
      const laptop = engine.createAccount();
      for (const label of ['', 'Roster', 'roster\n', 'roster_entry', 'röster', 'a/b', 'a\0']) {
        expect(() => laptop.sign({ label, digest })).toThrow(Error);
        expect(() => engine.verify(laptop.keys.signing, { label, digest }, new Uint8Array(64))).toThrow(
          Error,
        );
      }
      expect(() => laptop.sign({ label: 'roster', digest: digest.subarray(1) })).toThrow(Error);
    });
  });

  describe('one-time keys', () => {
    it('are handed out once each, all different and sound', () => {
      const phone = engine.createAccount();
      const keys = [
        ...phone.createOneTimeKeys(3),
        ...phone.createOneTimeKeys(0),
        ...phone.createOneTimeKeys(4),
      ];
      expect(keys).toHaveLength(7);
      expect(new Set(keys.map(String)).size).toBe(7);
    });

    it('come in whole numbers only', () => {
      const phone = engine.createAccount();
      for (const count of [-1, 0.5, Number.NaN, 5001])
        expect(() => phone.createOneTimeKeys(count)).toThrow(Error);
    });

    it('work once', () => {
      const { laptop, phone, first } = introduce(engine);
      expect(phone.acceptSession(laptop.keys.agreement, first.body)).toHaveProperty('ok');
      expect(phone.acceptSession(laptop.keys.agreement, first.body)).toEqual({ refused: 'olm-unknown-key' });
    });

    it('are used up in memory only: what was stored before knows them still', () => {
      const { laptop, phone, first } = introduce(engine);
      const before = phone.pickle(pickleKey());
      granted(phone.acceptSession(laptop.keys.agreement, first.body));
      const restored = engine.restoreAccount(before, pickleKey());
      expect(restored.acceptSession(laptop.keys.agreement, first.body)).toHaveProperty('ok');
    });

    it('are not used up by a message that is refused', () => {
      const { laptop, phone, first } = introduce(engine);
      const before = phone.pickle(pickleKey());
      const lastBit = first.body.length * 8 - 1;
      expect(phone.acceptSession(laptop.keys.agreement, flipped(first.body, lastBit))).toEqual({
        refused: 'olm-undecryptable',
      });
      expect(phone.pickle(pickleKey())).toBe(before);
      expect(phone.acceptSession(laptop.keys.agreement, first.body)).toHaveProperty('ok');
    });

    it('are named by the messages that use them', () => {
      const laptop = engine.createAccount();
      const phone = engine.createAccount();
      for (const key of phone.createOneTimeKeys(3)) {
        const { body } = laptop.startSession(phone.keys.agreement, key).encrypt(text('hello'));
        expect(phone.oneTimeKeyIn(body)).toEqual(key);
        expect(phone.oneTimeKeyIn(body.subarray(1))).toBeUndefined();
        expect(phone.oneTimeKeyIn(overwritten(body, 0, Uint8Array.of(4)))).toBeUndefined();
        for (const { key: unsound } of lowOrderX25519) {
          const altered = overwritten(body, KEY_AT.oneTimeKey, existing(fromHex(unsound)));
          expect(phone.oneTimeKeyIn(altered)).toBeUndefined();
        }
      }
    });

    it('can be burnt, each once and without harm to the others', () => {
      const laptop = engine.createAccount();
      const phone = engine.createAccount();
      const [burnt, kept] = phone.createOneTimeKeys(2).map((key) => ({
        key,
        message: laptop.startSession(phone.keys.agreement, key).encrypt(text('hello')),
      }));
      const { key, message } = existing(burnt);
      expect(phone.burnOneTimeKey(key)).toBe(true);
      expect(phone.burnOneTimeKey(key)).toBe(false);
      expect(phone.burnOneTimeKey(existing(laptop.createOneTimeKeys(1)[0]))).toBe(false);
      expect(phone.acceptSession(laptop.keys.agreement, message.body)).toEqual({
        refused: 'olm-unknown-key',
      });
      expect(phone.acceptSession(laptop.keys.agreement, existing(kept).message.body)).toHaveProperty('ok');
    });

    it('of low order start no session, even with a type that says they are sound', () => {
      const laptop = engine.createAccount();
      const phone = engine.createAccount();
      const sound = existing(phone.createOneTimeKeys(1)[0]);
      for (const { key, comment } of lowOrderX25519) {
        const unsound = existing(fromHex(key)) as AgreementKey;
        expect(() => laptop.startSession(unsound, sound), comment).toThrow(Error);
        expect(() => laptop.startSession(phone.keys.agreement, unsound), comment).toThrow(Error);
        expect(() => phone.burnOneTimeKey(unsound), comment).not.toThrow();
        expect(phone.burnOneTimeKey(unsound)).toBe(false);
      }
    });
  });
}
