/** Values as vectors show them: bytes in hexadecimal, the rest as it is. */
import { toHex } from '../../src/entities/bytes.ts';

export type Shown = string | number | boolean | null | readonly Shown[] | { readonly [key: string]: Shown };

export function show(value: unknown): Shown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(show);
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean'
  ) {
    return value;
  }
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, show(inner)]));
  }
  throw new Error(`a vector cannot hold ${typeof value}`);
}

export interface Accepted {
  readonly title: string;
  readonly bytes: string;
  readonly [fields: string]: Shown;
}

export interface Refused {
  readonly title: string;
  readonly bytes: string;
  /** So many zero bytes follow `bytes`. */
  readonly zeros?: number;
  readonly refused: string;
}

/** Many zeros at the end are counted instead of written. */
export function refusedVector(title: string, bytes: Uint8Array, refused: string): Refused {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const zeros = bytes.length - end;
  if (zeros < 1000) return { title, bytes: toHex(bytes), refused };
  return { title, bytes: toHex(bytes.subarray(0, end)), zeros, refused };
}
