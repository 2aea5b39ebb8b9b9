/**
 * The record of how far the store has come, kept outside the database: a database that lost its end, or an
 * older copy of it, is still a flawless database, and only something beside it can tell.
 */
import { concat, equal, uint64 } from '../../entities/bytes.ts';
import type { Mac } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import { fromUtf8, utf8 } from '../../entities/text.ts';
import type { StorePosition } from '../../usecases/ports/keystore.ts';
import type { StoreKeys } from './store-keys.ts';

const MAGIC = 'trusted-mesh anchor 1\n';
const BODY_BYTES = MAGIC.length + 8 + 32;
const MAC_BYTES = 32;

export function encodeAnchor(mac: Mac, keys: StoreKeys, position: StorePosition): Uint8Array {
  const body = concat(utf8(MAGIC), uint64(position.number), position.digest);
  return concat(body, mac(keys.anchor.expose(), keys.storeId, body));
}

/** Throws `store-damaged` where there is no anchor, or one that this store did not write. */
export function decodeAnchor(mac: Mac, keys: StoreKeys, bytes: Uint8Array | undefined): StorePosition {
  if (bytes === undefined) throw new MeshError('store-damaged', { detail: 'its anchor file is missing' });
  const body = bytes.subarray(0, BODY_BYTES);
  const written = bytes.subarray(BODY_BYTES);
  if (
    bytes.length !== BODY_BYTES + MAC_BYTES ||
    !equal(mac(keys.anchor.expose(), keys.storeId, body), written) ||
    fromUtf8(body.subarray(0, MAGIC.length)) !== MAGIC
  ) {
    throw new MeshError('store-damaged', { detail: 'its anchor file is not what the store wrote' });
  }
  let number = 0;
  for (const byte of body.subarray(MAGIC.length, MAGIC.length + 8)) number = number * 256 + byte;
  return { number, digest: body.slice(MAGIC.length + 8) };
}
