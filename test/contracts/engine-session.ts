import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { concat, fromHex } from '../../src/entities/bytes.ts';
import type { Engine, OlmMessage } from '../../src/usecases/ports/engine.ts';
import { lowOrderX25519 } from '../low-order-keys.ts';
import type { MakeEngine } from './engine.ts';
import {
  converse,
  existing,
  flipped,
  granted,
  introduce,
  KEY_AT,
  overwritten,
  pickleKey,
  text,
} from './engine-cast.ts';

export function sessionContract(makeEngine: MakeEngine): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeEngine();
  });

  describe('a session', () => {
    it('has one id at both ends, which no other session has', () => {
      const { laptopSession, phoneSession } = converse(engine);
      expect(laptopSession.id).toHaveLength(32);
      expect(phoneSession.id).toEqual(laptopSession.id);
      expect(converse(engine).laptopSession.id).not.toEqual(laptopSession.id);
    });

    it('sends messages of type 0 until it has heard the other end, and of type 1 from then on', () => {
      const { laptop, phone, laptopSession, first } = introduce(engine);
      const second = laptopSession.encrypt(text('second'));
      expect([first.type, second.type, laptopSession.established]).toEqual([0, 0, false]);
      const { session, plaintext } = granted(phone.acceptSession(laptop.keys.agreement, first.body));
      expect(plaintext).toEqual(text('first'));
      expect(session.established).toBe(true);
      expect(session.decrypt(second)).toEqual({ ok: text('second') });
      const answer = session.encrypt(text('answer'));
      expect(answer.type).toBe(1);
      expect(laptopSession.decrypt(answer)).toEqual({ ok: text('answer') });
      expect([laptopSession.established, laptopSession.encrypt(text('third')).type]).toEqual([true, 1]);
    });

    it('carries any bytes in both directions', () => {
      const { laptopSession, phoneSession } = converse(engine);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), (bytes, outward) => {
          const [from, to] = outward ? [laptopSession, phoneSession] : [phoneSession, laptopSession];
          expect(to.decrypt(from.encrypt(bytes))).toEqual({ ok: bytes });
        }),
        { numRuns: 50 },
      );
    });

    it('reads what Mallory reorders, and each message once', () => {
      const { laptopSession, phoneSession } = converse(engine);
      const numbers = [...Array(12).keys()];
      fc.assert(
        fc.property(fc.shuffledSubarray(numbers, { minLength: 12 }), (order) => {
          const messages = numbers.map((n) => laptopSession.encrypt(Uint8Array.of(n)));
          for (const n of order) {
            expect(phoneSession.decrypt(existing(messages[n]))).toEqual({ ok: Uint8Array.of(n) });
          }
          for (const message of messages) {
            expect(phoneSession.decrypt(message)).toEqual({ refused: 'olm-key-gone' });
          }
        }),
        { numRuns: 10 },
      );
    });

    it('goes on from its pickle at either end', () => {
      const { laptopSession, phoneSession } = converse(engine);
      const laptopAgain = engine.restoreSession(laptopSession.pickle(pickleKey()), pickleKey());
      const phoneAgain = engine.restoreSession(phoneSession.pickle(pickleKey()), pickleKey());
      expect(laptopAgain.id).toEqual(laptopSession.id);
      expect(phoneAgain.decrypt(laptopAgain.encrypt(text('still here')))).toEqual({ ok: text('still here') });
    });

    it('does not skip more than 2000 messages', () => {
      const { laptopSession, phoneSession } = converse(engine);
      let last = laptopSession.encrypt(text('0'));
      for (let n = 0; n < 2001; n++) last = laptopSession.encrypt(text('lost'));
      expect(phoneSession.decrypt(last)).toEqual({ refused: 'olm-gap-too-large' });
    });

    it('reads nothing of another session', () => {
      const { laptopSession } = converse(engine);
      const { phoneSession, first } = converse(engine);
      expect(phoneSession.decrypt(laptopSession.encrypt(text('astray')))).toEqual({
        refused: 'olm-undecryptable',
      });
      expect(laptopSession.decrypt(first)).toEqual({ refused: 'olm-undecryptable' });
    });

    it('knows the messages that began it', () => {
      const { phoneSession, laptopSession, first } = converse(engine);
      expect(phoneSession.matches(first)).toBe(true);
      expect(phoneSession.matches(introduce(engine).first)).toBe(false);
      expect(phoneSession.matches({ type: 0, body: flipped(first.body, KEY_AT.baseKey * 8) })).toBe(false);
      expect(phoneSession.matches({ type: 1, body: first.body })).toBe(false);
      expect(phoneSession.matches({ type: 0, body: new Uint8Array(0) })).toBe(false);
      expect(phoneSession.matches(laptopSession.encrypt(text('later')))).toBe(false);
    });

    it('reads no message that was altered, and still reads the original from where it was stored', () => {
      const { laptopSession, phoneSession } = converse(engine);
      const message = laptopSession.encrypt(text('pay 1 euro'));
      const stored = phoneSession.pickle(pickleKey());
      for (let bit = 0; bit < message.body.length * 8; bit++) {
        const altered: OlmMessage = { type: 1, body: flipped(message.body, bit) };
        expect(phoneSession.decrypt(altered), `bit ${bit}`).toHaveProperty('refused');
      }
      const restored = engine.restoreSession(stored, pickleKey());
      expect(restored.decrypt(message)).toEqual({ ok: text('pay 1 euro') });
    });

    it('does not begin with a message that was altered', () => {
      const { laptop, phone, first } = introduce(engine);
      for (let bit = 0; bit < first.body.length * 8; bit++) {
        expect(
          phone.acceptSession(laptop.keys.agreement, flipped(first.body, bit)),
          `bit ${bit}`,
        ).toHaveProperty('refused');
      }
      expect(phone.acceptSession(laptop.keys.agreement, first.body)).toHaveProperty('ok');
    });

    it('begins only for the device whose key stands in the message', () => {
      const { phone, first } = introduce(engine);
      const tablet = engine.createAccount();
      expect(phone.acceptSession(tablet.keys.agreement, first.body)).toEqual({
        refused: 'olm-undecryptable',
      });
    });

    it('reads no message of type 0 whose keys Mallory exchanged for sound ones', () => {
      const { laptop, phone, laptopSession, first } = introduce(engine);
      const second = laptopSession.encrypt(text('second'));
      const { session } = granted(phone.acceptSession(laptop.keys.agreement, first.body));
      for (const at of [KEY_AT.oneTimeKey, KEY_AT.baseKey, KEY_AT.identityKey]) {
        const body = overwritten(second.body, at, phone.keys.agreement);
        expect(session.decrypt({ type: 0, body })).toEqual({ refused: 'olm-undecryptable' });
      }
      expect(session.decrypt(second)).toEqual({ ok: text('second') });
    });
  });

  describe('an Olm message', () => {
    it('with a key of low order in any place is refused as malformed', () => {
      const { laptop, phone, laptopSession, first } = introduce(engine);
      const places = [KEY_AT.oneTimeKey, KEY_AT.baseKey, KEY_AT.identityKey, KEY_AT.firstRatchetKey];
      for (const { key, comment } of lowOrderX25519) {
        for (const at of places) {
          const body = overwritten(first.body, at, existing(fromHex(key)));
          expect(phone.acceptSession(laptop.keys.agreement, body), comment).toEqual({
            refused: 'olm-malformed',
          });
        }
      }
      const { session } = granted(phone.acceptSession(laptop.keys.agreement, first.body));
      const second = laptopSession.encrypt(text('second'));
      granted(laptopSession.decrypt(session.encrypt(text('answer'))));
      const third = laptopSession.encrypt(text('third'));
      for (const { key, comment } of lowOrderX25519) {
        const unsound = existing(fromHex(key));
        const late: OlmMessage = { type: 1, body: overwritten(third.body, KEY_AT.ratchetKey, unsound) };
        expect(session.decrypt(late), comment).toEqual({ refused: 'olm-malformed' });
        for (const at of places) {
          const early: OlmMessage = { type: 0, body: overwritten(second.body, at, unsound) };
          expect(session.decrypt(early), comment).toEqual({ refused: 'olm-malformed' });
        }
      }
    });

    it('has one encoding: a field too many, twice, missing or long-winded is malformed', () => {
      const { laptopSession, phoneSession } = converse(engine);
      const { body } = laptopSession.encrypt(text('plain'));
      const key = body.subarray(1, 35);
      const index = body.subarray(35, 37);
      const ciphertext = body.subarray(37, -8);
      const mac = body.subarray(-8);
      const version = body.subarray(0, 1);
      const variants: readonly (readonly [string, Uint8Array])[] = [
        ['unknown field', concat(version, key, index, ciphertext, Uint8Array.of(0x28, 1), mac)],
        ['key twice', concat(version, key, key, index, ciphertext, mac)],
        ['other order', concat(version, index, key, ciphertext, mac)],
        ['no index', concat(version, key, ciphertext, mac)],
        ['no ciphertext', concat(version, key, index, mac)],
        ['long index', concat(version, key, Uint8Array.of(0x10, (index[1] ?? 0) | 0x80, 0), ciphertext, mac)],
        [
          'endless index',
          concat(version, key, Uint8Array.of(0x10, 255, 255, 255, 255, 255, 1), ciphertext, mac),
        ],
        ['other version', concat(Uint8Array.of(4), key, index, ciphertext, mac)],
        ['length beyond the end', concat(version, key, index, Uint8Array.of(0x22, 0x7f), mac)],
      ];
      for (const [what, altered] of variants) {
        expect(phoneSession.decrypt({ type: 1, body: altered }), what).toEqual({ refused: 'olm-malformed' });
      }
      expect(phoneSession.decrypt({ type: 1, body })).toEqual({ ok: text('plain') });
    });

    it('of another version is malformed, whatever its MAC would be', () => {
      const { laptopSession, phoneSession } = converse(engine);
      const { body } = laptopSession.encrypt(new Uint8Array(200));
      for (const version of [0, 1, 2, 4, 5, 255]) {
        const altered = overwritten(body, 0, Uint8Array.of(version));
        expect(phoneSession.decrypt({ type: 1, body: altered })).toEqual({ refused: 'olm-malformed' });
      }
    });

    it('of the right form with any content is refused', () => {
      const { phoneSession, phone, laptop } = converse(engine);
      const content = fc.record({
        index: fc.nat(127),
        ciphertext: fc.uint8Array({ maxLength: 100 }),
        mac: fc.uint8Array({ minLength: 8, maxLength: 8 }),
        known: fc.boolean(),
      });
      fc.assert(
        fc.property(content, ({ index, ciphertext, mac, known }) => {
          const key = known ? phone.keys.agreement : laptop.keys.agreement;
          const length = ciphertext.length;
          const fields = concat(Uint8Array.of(3, 0x0a, 32), key, Uint8Array.of(0x10, index, 0x22, length));
          const body = concat(fields, ciphertext, mac);
          expect(phoneSession.decrypt({ type: 1, body })).toEqual({ refused: 'olm-undecryptable' });
        }),
        { numRuns: 50 },
      );
    });

    it('of arbitrary bytes is refused, whole or behind a good beginning', () => {
      const { laptop, phone, laptopSession, phoneSession, first } = converse(engine);
      const { body } = laptopSession.encrypt(text('good'));
      const good = [new Uint8Array(0), first.body, body];
      const mangled = fc
        .tuple(fc.constantFrom(...good), fc.nat(), fc.uint8Array({ maxLength: 80 }))
        .map(([start, cut, tail]) => concat(start.subarray(0, cut % (start.length + 1)), tail))
        .filter((bytes) => !good.some((whole) => String(whole) === String(bytes)));
      fc.assert(
        fc.property(mangled, fc.constantFrom<0 | 1>(0, 1), (bytes, type) => {
          expect(phoneSession.decrypt({ type, body: bytes })).toHaveProperty('refused');
          expect(phone.acceptSession(laptop.keys.agreement, bytes)).toHaveProperty('refused');
          phoneSession.matches({ type, body: bytes });
        }),
        { numRuns: 200 },
      );
    });
  });
}
