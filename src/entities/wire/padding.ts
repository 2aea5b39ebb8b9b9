/**
 * Padding to size classes, so that an onlooker learns a class and not a size. The classes are 256, 512 and 1024
 * bytes, and above that sixteen to each doubling, which costs at most one sixteenth.
 *
 * A padded text is its length in four bytes, the text, and zeros.
 */
import { concat, uint32 } from '../bytes.ts';
import { encodeWithin, type Value } from './cbor.ts';

const LENGTH_BYTES = 4;

export function sizeClass(length: number): number {
  if (length <= 256) return 256;
  if (length <= 512) return 512;
  if (length <= 1024) return 1024;
  const step = 2 ** (Math.floor(Math.log2(length)) - 4);
  return Math.ceil(length / step) * step;
}

/** The same as of what `encode` makes of the value. */
export function encodePadded(value: Value): Uint8Array {
  let text = 0;
  const padded = encodeWithin(value, (length) => {
    text = length;
    return { size: sizeClass(length + LENGTH_BYTES), at: LENGTH_BYTES };
  });
  padded.set(uint32(text));
  return padded;
}

export function pad(text: Uint8Array): Uint8Array {
  const padded = new Uint8Array(sizeClass(text.length + LENGTH_BYTES));
  padded.set(concat(uint32(text.length), text));
  return padded;
}

/** The text, or `undefined` where the padding is not exactly what `pad` makes. */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  if (padded.length < LENGTH_BYTES) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = padded;
  const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  const end = LENGTH_BYTES + length;
  if (padded.length !== sizeClass(end)) return undefined;
  for (let i = end; i < padded.length; i++) if (padded[i] !== 0) return undefined;
  return padded.subarray(LENGTH_BYTES, end);
}
