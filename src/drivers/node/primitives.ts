/** Node's own hash, MAC, AEAD and scrypt: native, and several times faster than any script. */
import * as crypto from 'node:crypto';
import { promisify } from 'node:util';
import type { Stretch } from '../../adapters/keystore/slot.ts';
import { AEAD_TAG_BYTES, type AeadJob, type Hash, type Mac, type Primitives } from '../../entities/crypto.ts';

const CIPHER = 'aes-256-gcm';
const TAG = { authTagLength: AEAD_TAG_BYTES };

/** A plain array with memory of its own; a Buffer may share its pool with strangers. */
function plain(buffer: Buffer): Uint8Array {
  const { buffer: memory, byteLength } = buffer;
  return memory.byteLength === byteLength ? new Uint8Array(memory) : new Uint8Array(buffer);
}

const hash: Hash = (...parts) => {
  const [only] = parts;
  // Without an object to be made and collected: most of what is hashed is a single ciphertext.
  if (only !== undefined && parts.length === 1) return plain(crypto.hash('sha256', only, 'buffer'));
  const state = crypto.createHash('sha256');
  for (const part of parts) state.update(part);
  return plain(state.digest());
};

const mac: Mac = (key, ...parts) => {
  const state = crypto.createHmac('sha256', key);
  for (const part of parts) state.update(part);
  return plain(state.digest());
};

function seal({ key, nonce, aad, data, room = 0 }: AeadJob): Uint8Array {
  const cipher = crypto.createCipheriv(CIPHER, key, nonce, TAG);
  cipher.setAAD(aad);
  const sealed = new Uint8Array(room + data.length + AEAD_TAG_BYTES);
  sealed.set(cipher.update(data), room);
  cipher.final();
  sealed.set(cipher.getAuthTag(), room + data.length);
  return sealed;
}

function open({ key, nonce, aad, data }: AeadJob): Uint8Array | undefined {
  if (data.length < AEAD_TAG_BYTES) return undefined;
  const decipher = crypto.createDecipheriv(CIPHER, key, nonce, TAG);
  decipher.setAAD(aad);
  decipher.setAuthTag(data.subarray(-AEAD_TAG_BYTES));
  const opened = decipher.update(data.subarray(0, -AEAD_TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain(opened);
}

export const nodePrimitives: Primitives = {
  hash,
  mac,
  cipher: { seal, open },
  aead: { seal: (jobs) => jobs.map(seal), open: (jobs) => jobs.map(open) },
};

const scrypt = promisify<crypto.BinaryLike, crypto.BinaryLike, number, crypto.ScryptOptions, Buffer>(
  crypto.scrypt,
);

/** Node refuses at exactly what the algorithm needs, hence a mebibyte on top. */
export const nodeStretch: Stretch = async (passphrase, salt, { logN, r, p }) => {
  const N = 2 ** logN;
  const maxmem = 128 * r * (N + p) + 1024 * 1024;
  return plain(await scrypt(passphrase, salt, 32, { N, r, p, maxmem }));
};
