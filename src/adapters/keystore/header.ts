/**
 * The one part of a store that is readable without its secret: what is needed to open the rest.
 *
 *     "trusted-mesh store 1\n"   magic and format version
 *     deterministic CBOR         store id, schema version, slots
 *     32 bytes                   HMAC of all before, under a key made of the data key
 *     32 bytes                   SHA-256 of all before
 *
 * The hash tells a damaged header from a wrong secret; the MAC, which needs the secret, tells an altered one.
 */
import { concat, equal } from '../../entities/bytes.ts';
import { type Hash, hkdf32, type Mac } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Secret } from '../../entities/secret.ts';
import { fromUtf8, utf8 } from '../../entities/text.ts';
import { type Caps, decode, encode } from '../../entities/wire/cbor.ts';
import { isBearable, SALT_BYTES, SLOT_KINDS, type Slot, type StretchingCost, WRAPPED_BYTES } from './slot.ts';
import { STORE_ID_BYTES } from './store-keys.ts';

const FORMAT = 1;
const MAGIC = /^trusted-mesh store (\d{1,9})\n/;
const MAC_BYTES = 32;
const HASH_BYTES = 32;
const LONGEST = 16 * 1024;
export const MOST_SLOTS = 16;
/** The header, its slots, each of five fields, and what a passphrase costs, of three. */
const CAPS: Caps = { bytes: LONGEST, depth: 4, items: 4 + MOST_SLOTS * 9 };

export interface Header {
  readonly storeId: Uint8Array;
  readonly schema: number;
  readonly slots: readonly Slot[];
}

/** A header as read, before the secret is known that its MAC needs. */
export interface UnverifiedHeader extends Header {
  readonly covered: Uint8Array;
  readonly mac: Uint8Array;
}

const damaged = () => new MeshError('store-damaged', { detail: 'its header is not what the store wrote' });

export function encodeHeader(hash: Hash, mac: Mac, dataKey: Secret, header: Header): Uint8Array {
  const slots = header.slots.map(({ number, kind, salt, cost, wrapped }) => [
    number,
    kind,
    salt,
    cost === undefined ? null : [cost.logN, cost.r, cost.p],
    wrapped,
  ]);
  const body = encode([header.storeId, header.schema, slots]);
  const covered = concat(utf8(`trusted-mesh store ${FORMAT}\n`), body);
  const signed = concat(covered, mac(headerKey(mac, dataKey, header.storeId), covered));
  return concat(signed, hash(signed));
}

/**
 * Throws `store-damaged`, or `store-unknown-version` for a format that is newer than this program. Nothing that
 * the header asks for has been paid then.
 */
export function parseHeader(hash: Hash, bytes: Uint8Array): UnverifiedHeader {
  if (bytes.length > LONGEST || bytes.length < HASH_BYTES + MAC_BYTES) throw damaged();
  const signed = bytes.subarray(0, -HASH_BYTES);
  if (!equal(hash(signed), bytes.subarray(-HASH_BYTES))) throw damaged();
  const magic = MAGIC.exec(fromUtf8(signed.subarray(0, signed.indexOf(0x0a) + 1)) ?? '');
  if (magic === null) throw damaged();
  if (Number(magic[1]) > FORMAT) throw new MeshError('store-unknown-version', { version: Number(magic[1]) });
  const covered = signed.subarray(0, -MAC_BYTES);
  const header = readBody(covered.subarray(magic[0].length));
  if (header === undefined) throw damaged();
  return { ...header, covered, mac: signed.subarray(-MAC_BYTES) };
}

/** Throws `store-damaged` where the header was not made by a holder of the data key. */
export function verifyHeader(mac: Mac, dataKey: Secret, header: UnverifiedHeader): void {
  if (!equal(mac(headerKey(mac, dataKey, header.storeId), header.covered), header.mac)) throw damaged();
}

function headerKey(mac: Mac, dataKey: Secret, storeId: Uint8Array): Uint8Array {
  return hkdf32(mac, dataKey.expose(), storeId, 'keystore header v1');
}

function readBody(bytes: Uint8Array): Header | undefined {
  const body = decode(bytes, CAPS);
  if ('refused' in body || !Array.isArray(body.ok) || body.ok.length !== 3) return undefined;
  const [storeId, schema, list]: unknown[] = body.ok;
  if (!isBytes(storeId, STORE_ID_BYTES) || !isPositive(schema) || !Array.isArray(list)) return undefined;
  if (list.length === 0 || list.length > MOST_SLOTS) return undefined;
  const slots: Slot[] = [];
  for (const item of list) {
    const slot = readSlot(item);
    if (slot === undefined || slots.some(({ number }) => number === slot.number)) return undefined;
    slots.push(slot);
  }
  return { storeId, schema, slots };
}

function readSlot(item: unknown): Slot | undefined {
  if (!Array.isArray(item) || item.length !== 5) return undefined;
  const [number, kindText, salt, costs, wrapped]: unknown[] = item;
  const kind = SLOT_KINDS.find((known) => known === kindText);
  if (!isPositive(number) || kind === undefined) return undefined;
  if (!isBytes(salt, SALT_BYTES) || !isBytes(wrapped, WRAPPED_BYTES)) return undefined;
  const cost = readCost(costs);
  if ((kind === 'passphrase') !== (cost !== undefined) || (cost === undefined && costs !== null))
    return undefined;
  return { number, kind, salt, cost, wrapped };
}

function readCost(item: unknown): StretchingCost | undefined {
  if (!Array.isArray(item) || item.length !== 3) return undefined;
  const [logN, r, p]: unknown[] = item;
  if (!isPositive(logN) || !isPositive(r) || !isPositive(p)) return undefined;
  return isBearable({ logN, r, p }) ? { logN, r, p } : undefined;
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
