/**
 * Deterministic CBOR (RFC 8949, section 4.2), the one decoder for every byte that comes from outside.
 *
 * The values are few: whole numbers up to 2^53 - 1, byte strings, text, booleans, `null`, arrays, and maps with
 * text keys. Bytes that encode anything else, or the same thing in another way than the encoder would, are
 * refused, so two parties that agree on a hash have seen the same value.
 *
 * One pass checks and builds. A library's decoder takes more than this and less strictly, so that a walk over the
 * bytes had to stand before it and a comparison with what would be written behind it, which took most of the time of
 * a busy receiver. The tests hold it against such a library, byte by byte.
 */
import { ByteSink } from '../byte-sink.ts';
import { compare } from '../bytes.ts';
import type { Result } from '../result.ts';
import { fromUtf8, utf8 } from '../text.ts';

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

const Major = { positive: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, simple: 7 } as const;
const BYTE_ORDER_MARK = 0xfeff;
const Simple = { false: 20, true: 21, null: 22 } as const;
/**
 * Byte strings up to this length (ids, keys, hashes, signatures) are copied, because they may be kept for long and would
 * keep the whole packet in memory. A longer one is handed out as a view; whoever keeps that makes a copy.
 */
const COPIED = 64;

export function encode(value: Value): Uint8Array {
  return encodeWithin(value, (length) => ({ size: length, at: 0 }));
}

/** The same within larger memory that is zeros otherwise: `frame` says of how many bytes, and where in it. */
export function encodeWithin(
  value: Value,
  frame: (length: number) => { readonly size: number; readonly at: number },
): Uint8Array {
  const to = new ByteSink();
  write(to, value);
  return to.finish(frame);
}

function write(to: ByteSink, value: Value): void {
  if (value === null) return to.byte((Major.simple << 5) | Simple.null);
  if (typeof value === 'boolean') return to.byte((Major.simple << 5) | (value ? Simple.true : Simple.false));
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Error('only whole numbers are encoded');
    return value < 0 ? writeHead(to, Major.negative, -1 - value) : writeHead(to, Major.positive, value);
  }
  if (typeof value === 'string') return writeText(to, utf8(value));
  if (value instanceof Uint8Array) {
    writeHead(to, Major.bytes, value.length);
    return to.raw(value);
  }
  if (isArray(value)) {
    writeHead(to, Major.array, value.length);
    for (const item of value) write(to, item);
    return;
  }
  const entries = Object.entries(value).map(([key, item]) => [utf8(key), item] as const);
  entries.sort(([a], [b]) => compareKeys(a, b));
  writeHead(to, Major.map, entries.length);
  for (const [key, item] of entries) {
    writeText(to, key);
    write(to, item);
  }
}

function writeText(to: ByteSink, text: Uint8Array): void {
  writeHead(to, Major.text, text.length);
  to.raw(text);
}

/** In as few bytes as the argument fits into. */
function writeHead(to: ByteSink, major: number, argument: number): void {
  const first = major << 5;
  if (argument < 24) return to.byte(first | argument);
  const info = argument < 0x100 ? 24 : argument < 0x1_0000 ? 25 : argument < 0x1_0000_0000 ? 26 : 27;
  to.byte(first | info);
  if (info === 27) writeUint32(to, Math.floor(argument / 0x1_0000_0000));
  if (info >= 26) return writeUint32(to, argument % 0x1_0000_0000);
  if (info === 25) to.byte(argument >>> 8);
  to.byte(argument & 0xff);
}

function writeUint32(to: ByteSink, value: number): void {
  to.byte(value >>> 24);
  to.byte((value >>> 16) & 0xff);
  to.byte((value >>> 8) & 0xff);
  to.byte(value & 0xff);
}

/** The order of their encodings, which begin with their lengths. */
function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return a.length - b.length || compare(a, b);
}

export function decode(bytes: Uint8Array, caps: Caps): Result<Value, CborRefusal> {
  if (bytes.length > caps.bytes) return { refused: 'cbor-too-large' };
  try {
    const from: Source = { bytes, at: 0, items: caps.items };
    const value = read(from, caps.depth);
    return from.at === bytes.length ? { ok: value } : { refused: 'cbor-malformed' };
  } catch (error) {
    if (error instanceof Refused) return { refused: error.reason };
    throw error;
  }
}

interface Source {
  readonly bytes: Uint8Array;
  at: number;
  /** How many more there may be. */
  items: number;
}

/** Never leaves this file. Made once: whoever sends rubbish is not to cost a stack trace each time. */
class Refused extends Error {
  readonly reason: CborRefusal;

  constructor(reason: CborRefusal) {
    super(reason);
    this.reason = reason;
  }
}

const malformed = new Refused('cbor-malformed');
const tooLarge = new Refused('cbor-too-large');
const tooDeep = new Refused('cbor-too-deep');

/** `depth` is how many containers may still be opened inside one another: recursion ends where the caller says. */
function read(from: Source, depth: number): Value {
  if (from.items === 0) throw tooLarge;
  from.items -= 1;
  const head = readByte(from);
  const major = head >> 5;
  const info = head & 0x1f;
  if (major === Major.simple) return readSimple(info);
  const argument = readArgument(from, info);
  switch (major) {
    case Major.positive:
      return argument;
    case Major.negative:
      if (argument === Number.MAX_SAFE_INTEGER) throw malformed;
      return -1 - argument;
    case Major.bytes: {
      const view = take(from, argument);
      // Not `slice`, which in a subclass of Node's makes a view.
      return argument <= COPIED ? new Uint8Array(view) : view;
    }
    case Major.text:
      return readText(take(from, argument));
    case Major.array:
      open(from, argument, depth);
      return readArray(from, argument, depth - 1);
    case Major.map:
      open(from, argument, depth);
      return readMap(from, argument, depth - 1);
    default:
      throw malformed;
  }
}

function readByte(from: Source): number {
  const byte = from.bytes[from.at++];
  if (byte === undefined) throw malformed;
  return byte;
}

function readSimple(info: number): boolean | null {
  if (info === Simple.false) return false;
  if (info === Simple.true) return true;
  if (info === Simple.null) return null;
  throw malformed;
}

/** The smallest argument of each width: below it a narrower one would have done. */
const LEAST = [24, 0x100, 0x1_0000, 0x1_0000_0000] as const;

function readArgument(from: Source, info: number): number {
  if (info < 24) return info;
  const least = LEAST[info - 24];
  if (least === undefined) throw malformed;
  let argument = 0;
  for (let left = 1 << (info - 24); left > 0; left--) argument = argument * 256 + readByte(from);
  if (argument < least || argument > Number.MAX_SAFE_INTEGER) throw malformed;
  return argument;
}

function take(from: Source, length: number): Uint8Array {
  const start = from.at;
  if (length > from.bytes.length - start) throw malformed;
  from.at = start + length;
  return from.bytes.subarray(start, from.at);
}

function readText(bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  // Many decoders swallow a mark at the beginning, and would have read another text.
  if (text === undefined || text.charCodeAt(0) === BYTE_ORDER_MARK) throw malformed;
  return text;
}

/** An item takes a byte at least, so what promises more of them than there are bytes is refused before any is read. */
function open(from: Source, count: number, depth: number): void {
  if (count > from.bytes.length - from.at) throw malformed;
  if (depth === 0) throw tooDeep;
}

function readArray(from: Source, count: number, depth: number): Value {
  const items: Value[] = [];
  for (let left = count; left > 0; left--) items.push(read(from, depth));
  return items;
}

function readMap(from: Source, count: number, depth: number): Value {
  const map: Record<string, Value> = {};
  let before: Uint8Array | undefined;
  for (let left = count; left > 0; left--) {
    if (from.items === 0) throw tooLarge;
    from.items -= 1;
    const head = readByte(from);
    if (head >> 5 !== Major.text) throw malformed;
    const key = take(from, readArgument(from, head & 0x1f));
    if (before !== undefined && compareKeys(before, key) >= 0) throw malformed;
    before = key;
    const value = read(from, depth);
    // Assigned, a key of this name would change the object instead of being in it.
    Object.defineProperty(map, readText(key), {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return map;
}

function isArray(value: readonly Value[] | ValueMap): value is readonly Value[] {
  return Array.isArray(value);
}
