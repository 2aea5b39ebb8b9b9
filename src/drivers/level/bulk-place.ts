/**
 * Where a large value lies, and how the database below remembers it: under `b` and the value's name, as three
 * numbers of four bytes each.
 */
import { concat, uint32 } from '../../entities/bytes.ts';
import { MeshError } from '../../entities/errors.ts';

export interface Place {
  /** The number of the segment, from 1 on. */
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
}

const POINTER = 0x62;
const PLACE_BYTES = 12;

export const POINTER_PREFIX = Uint8Array.of(POINTER);

export const pointerName = (name: Uint8Array): Uint8Array => concat(POINTER_PREFIX, name);

/** The name whose pointer has this name. */
export const pointedAt = (pointer: Uint8Array): Uint8Array => pointer.subarray(1);

/**
 * True for names that would lie among the pointers. A value of such a name goes into a segment however small it
 * is: so any name will do, and none is ever taken for a pointer. The keystore uses no such names.
 */
export const liesAmongPointers = (name: Uint8Array): boolean => name[0] === POINTER;

export function encodePlace({ segment, offset, length }: Place): Uint8Array {
  return concat(uint32(segment), uint32(offset), uint32(length));
}

/** Throws `store-damaged`. */
export function decodePlace(bytes: Uint8Array): Place {
  if (bytes.length === PLACE_BYTES) {
    const numbers = new DataView(bytes.buffer, bytes.byteOffset, PLACE_BYTES);
    const segment = numbers.getUint32(0);
    if (segment > 0) return { segment, offset: numbers.getUint32(4), length: numbers.getUint32(8) };
  }
  throw new MeshError('store-damaged', { detail: 'where a large value lies cannot be read' });
}
