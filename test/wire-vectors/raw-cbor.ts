/** CBOR written by hand, so that vectors can hold what no encoder would write. */
import { concat, uint32 } from '../../src/entities/bytes.ts';
import { utf8 } from '../../src/entities/text.ts';

export type Raw = Uint8Array;

export function head(major: number, argument: number): Raw {
  if (argument < 24) return Uint8Array.of((major << 5) | argument);
  if (argument < 0x100) return Uint8Array.of((major << 5) | 24, argument);
  if (argument < 0x1_0000) return Uint8Array.of((major << 5) | 25, argument >> 8, argument & 0xff);
  if (argument < 0x1_0000_0000) return concat(Uint8Array.of((major << 5) | 26), uint32(argument));
  const high = Math.floor(argument / 0x1_0000_0000);
  return concat(Uint8Array.of((major << 5) | 27), uint32(high), uint32(argument % 0x1_0000_0000));
}

export const num = (value: number): Raw => head(0, value);
export const bin = (bytes: Uint8Array): Raw => concat(head(2, bytes.length), bytes);
export const txt = (text: string): Raw => concat(head(3, utf8(text).length), utf8(text));
export const arr = (...items: readonly Raw[]): Raw => concat(head(4, items.length), ...items);
export const map = (...pairs: readonly (readonly [key: Raw, value: Raw])[]): Raw =>
  concat(head(5, pairs.length), ...pairs.flat());
export const nil: Raw = Uint8Array.of(0xf6);
export const yes: Raw = Uint8Array.of(0xf5);
export const no: Raw = Uint8Array.of(0xf4);
export const raw = (...bytes: readonly number[]): Raw => Uint8Array.from(bytes);
