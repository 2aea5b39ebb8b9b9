/** The fields that bodies are made of: how each is read and written. `undefined` says: not such a field. */
import { compare } from '../bytes.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromBytes } from '../device-id.ts';
import { parseDeviceName } from '../device-name.ts';
import { fromUtf8, utf8 } from '../text.ts';
import type { Value } from '../wire/cbor.ts';
import { type EntryHash, entryHashFromBytes, hashBytes, NAME_MAX_BYTES, type WrittenName } from './entry.ts';

export function readBytes(value: Value | undefined, length: number): Uint8Array | undefined {
  return value instanceof Uint8Array && value.length === length ? value : undefined;
}

/** A whole number between 0 and `max`. */
export function readNumber(value: Value | undefined, max: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
    ? value
    : undefined;
}

export function readArray(value: Value | undefined, length: number): readonly Value[] | undefined {
  return isArray(value) && value.length === length ? value : undefined;
}

export function readHash(value: Value | undefined): EntryHash | undefined {
  return value instanceof Uint8Array ? entryHashFromBytes(value) : undefined;
}

/** `null` is a value here, so a wrong field is told apart by being `undefined`. */
export function readHashOrNull(value: Value | undefined): EntryHash | null | undefined {
  return value === null ? null : readHash(value);
}

export function readDevice(value: Value | undefined): DeviceId | undefined {
  return value instanceof Uint8Array ? deviceIdFromBytes(value) : undefined;
}

/** Strictly ascending, so that one set has one encoding. */
export function readHashes(value: Value | undefined, min: number, max: number): EntryHash[] | undefined {
  return readAscending(value, min, max, readHash);
}

export function readDevices(value: Value | undefined, min: number, max: number): DeviceId[] | undefined {
  return readAscending(value, min, max, readDevice);
}

/**
 * `'refused'` stands for a field of the wrong type or size. What is fit to be shown is decided by tables that
 * differ between engines of different years, so an unfit name is no reason to refuse: two devices would then
 * hold different logs.
 */
export function readName(value: Value | undefined): WrittenName | 'refused' {
  if (!(value instanceof Uint8Array) || value.length > NAME_MAX_BYTES) return 'refused';
  const text = fromUtf8(value);
  if (text === undefined) return undefined;
  const name = parseDeviceName(text);
  return 'ok' in name ? name.ok : undefined;
}

export function writeName(name: WrittenName): Uint8Array {
  return utf8(name ?? '');
}

export function writeHashes(hashes: readonly EntryHash[]): Uint8Array[] {
  return [...new Set(hashes)].sort().map(hashBytes);
}

export function writeDevices(devices: readonly DeviceId[]): Uint8Array[] {
  return [...new Set(devices)].map(deviceIdBytes).sort(compare);
}

function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

function readAscending<T>(
  value: Value | undefined,
  min: number,
  max: number,
  read: (item: Value) => T | undefined,
): T[] | undefined {
  if (!isArray(value) || value.length < min || value.length > max) return undefined;
  const found: T[] = [];
  let before: Uint8Array | undefined;
  for (const item of value) {
    const one = read(item);
    if (one === undefined || !(item instanceof Uint8Array)) return undefined;
    if (before !== undefined && compare(before, item) >= 0) return undefined;
    before = item;
    found.push(one);
  }
  return found;
}
