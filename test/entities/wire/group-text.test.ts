import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, type Value } from '../../../src/entities/wire/cbor.ts';
import { decodeGroupText, encodeGroupText } from '../../../src/entities/wire/group-text.ts';
import { MAX_PAYLOAD_BYTES } from '../../../src/entities/wire/items.ts';
import { pad } from '../../../src/entities/wire/padding.ts';
import { anyGroupText, bytes } from './arbitraries.ts';

const salt = new Uint8Array(16).fill(7);
const context = new Uint8Array(32).fill(8);
const id = new Uint8Array(16).fill(9);
const payload = new Uint8Array(5).fill(10);
const fields: readonly Value[] = [salt, context, id, 1, 'text/plain', null, payload];

function changed(place: number, value: Value): Uint8Array {
  return pad(encode(fields.map((field, i) => (i === place ? value : field))));
}

describe('the text of a group message', () => {
  it('is read as it was written, by whoever expects its context', () => {
    fc.assert(
      fc.property(anyGroupText, bytes(16), (text, random) => {
        expect(decodeGroupText(encodeGroupText(random, text), text.context)).toEqual({ ok: text });
      }),
    );
  });

  it('takes a payload of 64 KiB with labels of 255 characters', () => {
    const text = {
      context,
      id,
      sentAt: Number.MAX_SAFE_INTEGER,
      type: 'ü'.repeat(255),
      thread: 'ü'.repeat(255),
      payload: new Uint8Array(MAX_PAYLOAD_BYTES),
    };
    expect(decodeGroupText(encodeGroupText(salt, text), context)).toEqual({ ok: text });
  });

  it('is refused where it was written for another circle, or by another device', () => {
    const text = changed(1, new Uint8Array(32));
    expect(decodeGroupText(text, context)).toEqual({ refused: 'group-context-mismatch' });
  });

  it.each([
    ['a salt of 15 bytes', changed(0, salt.subarray(1))],
    ['a context of 31 bytes', changed(1, context.subarray(1))],
    ['an id of 15 bytes', changed(2, id.subarray(1))],
    ['a negative time', changed(3, -1)],
    ['a type that is no text', changed(4, null)],
    ['a type of 256 characters', changed(4, 'a'.repeat(256))],
    ['a thread that is a number', changed(5, 1)],
    ['a payload that is text', changed(6, 'words')],
    ['a payload of 64 KiB and one byte', changed(6, new Uint8Array(MAX_PAYLOAD_BYTES + 1))],
    ['a field too few', pad(encode(fields.slice(0, 6)))],
    ['a field too many', pad(encode([...fields, null]))],
    ['no padding', encode(fields)],
  ])('is refused with %s', (_, text) => {
    expect(decodeGroupText(text, context)).toEqual({ refused: 'group-text-malformed' });
  });

  it('is refused where it is no value at all', () => {
    expect(decodeGroupText(pad(Uint8Array.of(0xff)), context)).toEqual({ refused: 'cbor-malformed' });
  });
});
