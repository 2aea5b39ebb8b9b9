import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, fromHex } from '../../src/entities/bytes.ts';
import { Secret } from '../../src/entities/secret.ts';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import { lowOrderEd25519 } from '../low-order-keys.ts';
import type { MakeEngine } from './engine.ts';
import { existing, flipped, granted, KEY_AT, overwritten, pickleKey, text } from './engine-cast.ts';

export function groupSessionContract(makeEngine: MakeEngine): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeEngine();
  });

  describe('a group session', () => {
    it('is read by every member that was given its key', () => {
      const laptop = engine.createGroupSession();
      const members = [1, 2, 3].map(() => granted(engine.acceptGroupSession(laptop.shareKey())));
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
          const index = laptop.nextIndex;
          const message = laptop.encrypt(bytes);
          for (const member of members) {
            expect(member.decrypt(message)).toEqual({ ok: { index, plaintext: bytes } });
          }
          expect(laptop.nextIndex).toBe(index + 1);
        }),
        { numRuns: 20 },
      );
      for (const member of members) expect(member.id).toEqual(laptop.id);
      expect(laptop.id).toHaveLength(32);
    });

    it('is read from the index on at which its key was shared', () => {
      const laptop = engine.createGroupSession();
      const before = laptop.encrypt(text('before'));
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      expect(phone.firstIndex).toBe(1);
      expect(phone.decrypt(before)).toEqual({ refused: 'olm-key-gone' });
      expect(phone.decrypt(laptop.encrypt(text('after')))).toEqual({
        ok: { index: 1, plaintext: text('after') },
      });
    });

    it('reads the same message any number of times and in any order', () => {
      const laptop = engine.createGroupSession();
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      const messages = [0, 1, 2].map((n) => laptop.encrypt(Uint8Array.of(n)));
      for (const index of [2, 0, 1, 1, 2]) {
        expect(phone.decrypt(existing(messages[index]))).toEqual({
          ok: { index, plaintext: Uint8Array.of(index) },
        });
      }
    });

    it('can be passed on from an index that the member can read, and not from before', () => {
      const laptop = engine.createGroupSession();
      laptop.encrypt(text('0'));
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      const messages = [1, 2, 3].map((n) => laptop.encrypt(Uint8Array.of(n)));
      expect(phone.exportFrom(0)).toBeUndefined();
      const pi = granted(engine.importGroupSession(existing(phone.exportFrom(3))));
      expect([pi.firstIndex, pi.id]).toEqual([3, laptop.id]);
      expect(pi.decrypt(existing(messages[1]))).toEqual({ refused: 'olm-key-gone' });
      expect(pi.decrypt(existing(messages[2]))).toHaveProperty('ok');
      expect(phone.decrypt(existing(messages[0]))).toHaveProperty('ok');
      for (const index of [-1, 0.5, 2 ** 32]) expect(() => phone.exportFrom(index)).toThrow(Error);
    });

    it('goes on from its pickles', () => {
      const laptop = engine.createGroupSession();
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      laptop.encrypt(text('0'));
      const laptopAgain = engine.restoreOutboundGroupSession(laptop.pickle(pickleKey()), pickleKey());
      const phoneAgain = engine.restoreInboundGroupSession(phone.pickle(pickleKey()), pickleKey());
      expect([laptopAgain.id, laptopAgain.nextIndex]).toEqual([laptop.id, 1]);
      expect(phoneAgain.decrypt(laptopAgain.encrypt(text('1')))).toHaveProperty('ok');
    });

    it('reads no message that was altered, cut or made up, nor one of another session', () => {
      const laptop = engine.createGroupSession();
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      const message = laptop.encrypt(text('pay 1 euro'));
      for (let bit = 0; bit < message.length * 8; bit++) {
        expect(phone.decrypt(flipped(message, bit)), `bit ${bit}`).toHaveProperty('refused');
      }
      expect(phone.decrypt(engine.createGroupSession().encrypt(text('astray')))).toEqual({
        refused: 'olm-undecryptable',
      });
      const mangled = fc
        .tuple(fc.nat(message.length - 1), fc.uint8Array({ maxLength: 80 }))
        .map(([cut, tail]) => concat(message.subarray(0, cut), tail))
        .filter((bytes) => String(bytes) !== String(message));
      fc.assert(
        fc.property(mangled, (bytes) => {
          expect(phone.decrypt(bytes)).toHaveProperty('refused');
        }),
        { numRuns: 200 },
      );
      expect(phone.decrypt(message)).toHaveProperty('ok');
    });

    it('has one encoding of each message: a field too many is malformed', () => {
      const laptop = engine.createGroupSession();
      const phone = granted(engine.acceptGroupSession(laptop.shareKey()));
      const message = laptop.encrypt(text('plain'));
      const padded = concat(message.subarray(0, -72), Uint8Array.of(0x28, 1), message.subarray(-72));
      expect(phone.decrypt(padded)).toEqual({ refused: 'olm-malformed' });
    });
  });

  describe("a group session's key", () => {
    it('is refused with any bit changed, because its owner signed it', () => {
      const laptop = engine.createGroupSession();
      const shared = laptop.shareKey().expose();
      fc.assert(
        fc.property(fc.nat(shared.length * 8 - 1), (bit) => {
          const altered = new Secret(flipped(shared, bit));
          expect(engine.acceptGroupSession(altered)).toEqual({ refused: 'olm-malformed' });
        }),
        { numRuns: 100 },
      );
    });

    it('of one form is not taken for the other, nor at any other length', () => {
      const laptop = engine.createGroupSession();
      const shared = laptop.shareKey();
      const exported = existing(granted(engine.acceptGroupSession(shared)).exportFrom(0));
      expect(engine.importGroupSession(shared)).toEqual({ refused: 'olm-malformed' });
      expect(engine.acceptGroupSession(exported)).toEqual({ refused: 'olm-malformed' });
      for (let bit = 0; bit < 8; bit++) {
        const otherVersion = new Secret(flipped(exported.expose(), bit));
        expect(engine.importGroupSession(otherVersion)).toEqual({ refused: 'olm-malformed' });
      }
      for (const key of [shared.expose(), exported.expose()]) {
        for (const altered of [concat(key, Uint8Array.of(0)), key.subarray(0, -1), new Uint8Array(0)]) {
          expect(engine.acceptGroupSession(new Secret(altered))).toEqual({ refused: 'olm-malformed' });
          expect(engine.importGroupSession(new Secret(altered))).toEqual({ refused: 'olm-malformed' });
        }
      }
    });

    it('is refused with a signing key of low order or that is no point', () => {
      const laptop = engine.createGroupSession();
      const shared = laptop.shareKey();
      const exported = existing(granted(engine.acceptGroupSession(shared)).exportFrom(0)).expose();
      const unsound = lowOrderEd25519.map(({ key }) => existing(fromHex(key)));
      for (const key of [...unsound, new Uint8Array(32).fill(2)]) {
        // With R = 1 and S = 0 the signature holds for a key of order 1, whatever it is about.
        const signed = concat(key, Uint8Array.of(1), new Uint8Array(63));
        const inShared = new Secret(overwritten(shared.expose(), KEY_AT.groupSigningKey, signed));
        const inExported = new Secret(overwritten(exported, KEY_AT.groupSigningKey, key));
        expect(engine.acceptGroupSession(inShared)).toEqual({ refused: 'olm-malformed' });
        expect(engine.importGroupSession(inExported)).toEqual({ refused: 'olm-malformed' });
      }
    });
  });
}
