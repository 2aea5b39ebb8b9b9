/**
 * Deterministic CBOR (RFC 8949, section 4.2), the one decoder for every byte that comes from outside.
 *
 * The values are few: whole numbers up to 2^53 - 1, byte strings, text, booleans, `null`, arrays, and maps with
 * text keys. Bytes that encode anything else, or the same thing in another way than the encoder would, are
 * refused, so two parties that agree on a hash have seen the same value.
 */
import { decode as decodeCbor, encode as encodeCbor, rfc8949EncodeOptions } from 'cborg';
import type { Result } from '../result.ts';

export type Value = number | string | boolean | null | Uint8Array | readonly Value[] | ValueMap;
export interface ValueMap {
  readonly [key: string]: Value;
}

export interface Caps {
  readonly bytes: number;
  readonly depth: number;
  /** How many items of any kind, nested ones included. */
  readonly items: number;
}

export type CborRefusal = 'cbor-malformed' | 'cbor-too-large' | 'cbor-too-deep';

export function encode(value: Value): Uint8Array {
  return encodeCbor(value, rfc8949EncodeOptions);
}

export function decode(bytes: Uint8Array, caps: Caps): Result<Value, CborRefusal> {
  if (bytes.length > caps.bytes) return { refused: 'cbor-too-large' };
  const shape = checkShape(bytes, caps);
  if (shape !== undefined) return { refused: shape };
  let value: Value;
  try {
    value = decodeCbor(bytes, STRICT) as Value;
  } catch {
    return { refused: 'cbor-malformed' };
  }
  return sameBytes(encode(value), bytes) ? { ok: value } : { refused: 'cbor-malformed' };
}

const STRICT = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const;

/**
 * Walks over the heads of all items before anything is built from them: the library recurses, and would be
 * driven into the end of its stack, and it knows kinds of values that have no place here.
 */
function checkShape(bytes: Uint8Array, caps: Caps): CborRefusal | undefined {
  const open: number[] = [1];
  const isMap: boolean[] = [false];
  let at = 0;
  let items = 0;
  while (open.length > 0) {
    const top = open.length - 1;
    const left = open[top] ?? 0;
    if (left === 0) {
      open.pop();
      isMap.pop();
      continue;
    }
    open[top] = left - 1;
    if (++items > caps.items) return 'cbor-too-large';
    const head = bytes[at++];
    if (head === undefined) return 'cbor-malformed';
    const major = head >> 5;
    const info = head & 0x1f;
    if (isMap[top] === true && left % 2 === 0 && major !== 3) return 'cbor-malformed';
    if (major === 7) {
      if (info < 20 || info > 22) return 'cbor-malformed';
      continue;
    }
    if (major === 6 || info > 27) return 'cbor-malformed';
    let argument = info;
    if (info >= 24) {
      const width = 1 << (info - 24);
      if (at + width > bytes.length) return 'cbor-malformed';
      argument = 0;
      for (let i = 0; i < width; i++) argument = argument * 256 + (bytes[at++] ?? 0);
      if (argument > Number.MAX_SAFE_INTEGER) return 'cbor-malformed';
    }
    if (major === 1 && argument === Number.MAX_SAFE_INTEGER) return 'cbor-malformed';
    if (major === 2 || major === 3) {
      at += argument;
      if (at > bytes.length) return 'cbor-malformed';
    } else if (major === 4 || major === 5) {
      if (argument > bytes.length - at) return 'cbor-malformed';
      if (open.length > caps.depth) return 'cbor-too-deep';
      open.push(major === 5 ? argument * 2 : argument);
      isMap.push(major === 5);
    }
  }
  return at === bytes.length ? undefined : 'cbor-malformed';
}

/** Not for secrets: it stops at the first difference. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
