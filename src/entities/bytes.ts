import { base32nopad, base64nopad, base64urlnopad, hex } from '@scure/base';

/** Bytes of a fixed meaning. The brand keeps a signing key from being passed where an agreement key belongs. */
export type Branded<Name extends string> = Uint8Array & { readonly __brand: Name };

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Compares two byte strings in a time that depends on their lengths only. This is the one comparison for
 * anything secret: MACs, codes, commitments.
 */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** The order of RFC 8949: byte by byte, a prefix before what it begins. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Eight bytes, big end first, of a whole number up to 2^53 - 1. */
export function uint64(value: number): Uint8Array {
  return concat(uint32(Math.floor(value / 0x1_0000_0000)), uint32(value % 0x1_0000_0000));
}

export const toHex = (bytes: Uint8Array): string => hex.encode(bytes);
export const toBase64 = (bytes: Uint8Array): string => base64nopad.encode(bytes);
export const toBase64Url = (bytes: Uint8Array): string => base64urlnopad.encode(bytes);
export const toBase32 = (bytes: Uint8Array): string => base32nopad.encode(bytes).toLowerCase();

function decodeOr<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** The decoders are strict (alphabet, length, unused bits) and answer `undefined` instead of throwing. */
export const fromHex = (text: string): Uint8Array | undefined => decodeOr(() => hex.decode(text));
export const fromBase64 = (text: string): Uint8Array | undefined => decodeOr(() => base64nopad.decode(text));
export const fromBase64Url = (text: string): Uint8Array | undefined =>
  decodeOr(() => base64urlnopad.decode(text));
export const fromBase32 = (text: string): Uint8Array | undefined =>
  text === text.toLowerCase() ? decodeOr(() => base32nopad.decode(text.toUpperCase())) : undefined;
