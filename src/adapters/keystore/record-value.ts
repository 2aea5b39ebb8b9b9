/**
 * The bytes of a record's value. Records are plain data, and the long ones are lists of things alike, a message after
 * the other: so the names of an object's fields are written once for all objects that have the same, and a field that
 * is what it was in the last of them takes one byte. Written and read in one pass, this is several times faster than
 * CBOR, in which a busy daemon would spend most of its time.
 *
 * What cannot be kept exactly is refused when it is handed over, as a bug, because on reading it back it would be
 * something else.
 */
import { isWellFormed } from '../../entities/text.ts';
import { ByteReader, ByteWriter, Undecodable } from './compact-bytes.ts';

const DEEPEST = 32;
/** Shorter byte strings are copied out, so that an id that somebody keeps does not keep a whole batch in memory. */
const WORTH_A_VIEW = 4096;

const Tag = {
  null: 0,
  false: 1,
  true: 2,
  /** A whole number from 0 to 2^53 - 1. */
  count: 3,
  /** Any other number, as its eight bytes. */
  float: 4,
  text: 5,
  bytes: 6,
  list: 7,
  /** An object with fields that stand here for the first time in this value. */
  shape: 8,
  /** One with the fields of an earlier one. */
  object: 9,
  /** In an object: what the field was in the last object with these fields. */
  same: 10,
} as const;

interface Shape {
  readonly names: readonly string[];
  readonly last: unknown[];
}

export function encodeValue(value: unknown): Uint8Array {
  const to = new ByteWriter();
  write(to, [], value, 0);
  return to.finish();
}

/** Only for bytes that the seal has vouched for. Throws `Undecodable`. */
export function decodeValue(bytes: Uint8Array): unknown {
  const from = new ByteReader(bytes);
  const value = read(from, [], 0);
  from.end();
  return value;
}

function write(to: ByteWriter, shapes: Shape[], value: unknown, depth: number): void {
  if (depth > DEEPEST) throw new Error(`a record is nested deeper than ${DEEPEST}`);
  if (value === null) return to.byte(Tag.null);
  switch (typeof value) {
    case 'boolean':
      return to.byte(value ? Tag.true : Tag.false);
    case 'number':
      return writeNumber(to, value);
    case 'string':
      assertWellFormed(value);
      to.byte(Tag.text);
      return to.text(value);
    case 'object':
      return writeObject(to, shapes, value, depth);
    default:
      throw notPlain(value === undefined ? 'missing value' : typeof value);
  }
}

function writeNumber(to: ByteWriter, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)) {
    to.byte(Tag.count);
    return to.uint(value);
  }
  to.byte(Tag.float);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  to.raw(bytes);
}

function writeObject(to: ByteWriter, shapes: Shape[], value: object, depth: number): void {
  if (value instanceof Uint8Array) {
    to.byte(Tag.bytes);
    to.uint(value.length);
    return to.raw(value);
  }
  if (Array.isArray(value)) {
    to.byte(Tag.list);
    to.uint(value.length);
    for (const item of value) write(to, shapes, item, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw notPlain('object of a class');
  const { names, last } = writeShape(to, shapes, Object.keys(value));
  for (const [i, name] of names.entries()) {
    const item: unknown = (value as Readonly<Record<string, unknown>>)[name];
    if (isSame(item, last[i])) {
      to.byte(Tag.same);
    } else {
      write(to, shapes, item, depth + 1);
      last[i] = item;
    }
  }
}

function writeShape(to: ByteWriter, shapes: Shape[], names: readonly string[]): Shape {
  const index = shapes.findIndex((shape) => hasNames(shape, names));
  const known = shapes[index];
  if (known !== undefined) {
    to.byte(Tag.object);
    to.uint(index);
    return known;
  }
  to.byte(Tag.shape);
  to.uint(names.length);
  for (const name of names) {
    assertWellFormed(name);
    // Assigned on reading, it would be no field.
    if (name === '__proto__') throw notPlain('__proto__');
    to.text(name);
  }
  const shape = { names, last: [] };
  shapes.push(shape);
  return shape;
}

function hasNames(shape: Shape, names: readonly string[]): boolean {
  return shape.names.length === names.length && shape.names.every((name, i) => name === names[i]);
}

/** Objects and lists have fields of their own that may be the same; zeros differ in their sign. */
function isSame(value: unknown, last: unknown): boolean {
  if (value !== last || last === undefined || value === 0) return false;
  return value === null || typeof value !== 'object' || value instanceof Uint8Array;
}

function read(from: ByteReader, shapes: Shape[], depth: number): unknown {
  if (depth > DEEPEST) throw new Undecodable();
  const tag = from.byte();
  switch (tag) {
    case Tag.null:
      return null;
    case Tag.false:
      return false;
    case Tag.true:
      return true;
    case Tag.count:
      return from.uint();
    case Tag.float:
      return new DataView(from.raw(8).buffer).getFloat64(0);
    case Tag.text:
      return from.text();
    case Tag.bytes:
      return readBytes(from);
    case Tag.list:
      return readList(from, shapes, depth);
    case Tag.shape:
      return readObject(from, shapes, readShape(from, shapes), depth);
    case Tag.object:
      return readObject(from, shapes, shapes[from.uint()], depth);
    default:
      throw new Undecodable();
  }
}

function readBytes(from: ByteReader): Uint8Array {
  const length = from.uint();
  return length < WORTH_A_VIEW ? from.raw(length) : from.view(length);
}

function readList(from: ByteReader, shapes: Shape[], depth: number): unknown[] {
  const items: unknown[] = [];
  for (let left = from.uint(); left > 0; left--) items.push(read(from, shapes, depth + 1));
  return items;
}

function readShape(from: ByteReader, shapes: Shape[]): Shape {
  const names: string[] = [];
  for (let left = from.uint(); left > 0; left--) names.push(from.text());
  const shape = { names, last: [] };
  shapes.push(shape);
  return shape;
}

function readObject(from: ByteReader, shapes: Shape[], shape: Shape | undefined, depth: number): unknown {
  if (shape === undefined) throw new Undecodable();
  const { names, last } = shape;
  const object: Record<string, unknown> = {};
  for (const [i, name] of names.entries()) {
    if (from.peek() === Tag.same) {
      from.byte();
      if (last[i] === undefined) throw new Undecodable();
    } else {
      last[i] = read(from, shapes, depth + 1);
    }
    object[name] = last[i];
  }
  return object;
}

function assertWellFormed(text: string): void {
  if (!isWellFormed(text)) throw new Error('a record holds half a character');
}

function notPlain(what: string): Error {
  return new Error(`a record holds a ${what}, which is not plain data`);
}
