import { describe, expect, it } from 'vitest';
import { refusing, refusingKey, unpickling, verifies } from '../../../src/drivers/vodozemac/refusals.ts';
import type { OlmRefusal } from '../../../src/usecases/ports/engine.ts';

/** As the engine words them; facts.test.ts has most of them from its own mouth. */
const texts: readonly (readonly [text: string, refusal: OlmRefusal])[] = [
  ["The message didn't contain a version", 'olm-malformed'],
  ["The message didn't have a valid version, expected 3, got 4", 'olm-malformed'],
  ["The message was too short, it didn't contain a valid payload", 'olm-malformed'],
  [
    'The message contained an invalid public key: Failed to decode Curve25519 key from Base64',
    'olm-malformed',
  ],
  ['The message contained a MAC with an invalid size, expected 8, got 32', 'olm-malformed'],
  ['The message contained an invalid Signature: signature error', 'olm-malformed'],
  ['failed to decode Protobuf message: invalid tag value: 0', 'olm-malformed'],
  ["The signature couldn't be decoded: signature error", 'olm-malformed'],
  ['The signature on the session key was invalid: The signature was invalid', 'olm-malformed'],
  ['The public key of session was invalid: The signature was invalid', 'olm-malformed'],
  ['The pre-key message contained an unknown one-time key: GtUzHUj', 'olm-unknown-key'],
  ["The message key with the given key can't be created, message index: 0", 'olm-key-gone'],
  ['The message was encrypted using an unknown message index, first known index 1', 'olm-key-gone'],
  ['The message gap was too big, got 2004, max allowed 2000', 'olm-gap-too-large'],
  ["The given identity key doesn't match the one in the pre-key message", 'olm-undecryptable'],
  ["The message that was used to establish the Session couldn't be decrypted", 'olm-undecryptable'],
  ['Failed decrypting Olm message, invalid MAC: MAC tag mismatch', 'olm-undecryptable'],
  ['Failed decrypting Megolm message, invalid padding', 'olm-undecryptable'],
  ['The signature on the message was invalid: The signature was invalid', 'olm-undecryptable'],
];

describe('an error of the engine that has a meaning', () => {
  for (const [text, refusal] of texts) {
    it(`is refused as ${refusal}: ${text}`, () => {
      const refuse = (): never => {
        throw new Error(text);
      };
      expect(refusing(refuse)).toEqual({ refused: refusal });
    });
  }
});

describe('an error of the engine that has no meaning to us', () => {
  const news = new Error('attempted to take ownership of Rust value while it was borrowed');
  const broken = (): never => {
    throw news;
  };

  it('is thrown on as the bug that it is', () => {
    for (const passage of [refusing, refusingKey, unpickling, verifies])
      expect(() => passage(broken)).toThrow(news);
  });

  it('is a bug, too, where the meaning belongs to another call', () => {
    const wrongPlace = (): never => {
      throw new Error('The message gap was too big, got 2001, max allowed 2000');
    };
    expect(refusing(wrongPlace)).toEqual({ refused: 'olm-gap-too-large' });
    for (const passage of [refusingKey, unpickling, verifies])
      expect(() => passage(wrongPlace)).toThrow(Error);
  });
});
