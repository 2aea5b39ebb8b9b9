/**
 * The bytes of a record's value: deterministic CBOR of plain data. What cannot be kept exactly is refused when
 * it is handed over, as a bug, because on reading it back it would be something else.
 */
import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { isWellFormed } from '../../entities/text.ts';

const DEEPEST = 32;

export function encodeValue(value: unknown): Uint8Array {
  assertPlain(value, 0);
  return encode(value, rfc8949EncodeOptions);
}

/** Only for bytes that the seal has vouched for. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decode(bytes);
}

function assertPlain(value: unknown, depth: number): void {
  if (depth > DEEPEST) throw new Error(`a record is nested deeper than ${DEEPEST}`);
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return;
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw new Error('a record holds half a character');
    // The decoder would swallow it.
    if (value.startsWith('\uFEFF')) throw new Error('a record holds a text with a byte order mark');
    return;
  }
  if (value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (const item of value) assertPlain(item, depth + 1);
    return;
  }
  if (typeof value === 'object') {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      for (const [name, item] of Object.entries(value)) {
        assertPlain(name, depth);
        assertPlain(item, depth + 1);
      }
      return;
    }
  }
  throw new Error(
    `a record holds a ${value === undefined ? 'missing value' : typeof value}, which is not plain data`,
  );
}
