/**
 * What binds a message to one pair of devices, in one mesh, in one direction. All of it is computed once per
 * pair (the contexts) or once per session (the keys).
 */
import { concat } from './bytes.ts';
import { type Hash, hkdf32, labelledHash, type Mac } from './crypto.ts';
import { type DeviceId, deviceIdBytes } from './device-id.ts';
import type { DeviceKeys } from './keys.ts';
import { type MeshId, meshIdBytes } from './mesh-id.ts';
import { Secret } from './secret.ts';
import { MAC_BYTES, WIRE_VERSION } from './wire/envelope.ts';

export interface Party {
  readonly id: DeviceId;
  readonly keys: DeviceKeys;
}

/**
 * One hash for protocol version, mesh, both ids and all four keys, in the order from → to. It stands inside
 * every ciphertext and under every MAC and signature, so nothing can be redirected or reflected.
 */
export function pairContext(hash: Hash, mesh: MeshId, from: Party, to: Party): Uint8Array {
  const parts = [from, to].map((party) =>
    concat(deviceIdBytes(party.id), party.keys.signing, party.keys.agreement),
  );
  return labelledHash(hash, 'pair context v1', Uint8Array.of(WIRE_VERSION), meshIdBytes(mesh), ...parts);
}

/** The key under which `from` authenticates envelopes to `to` in this session. */
export function envelopeKey(mac: Mac, secret: Secret, sessionId: Uint8Array, context: Uint8Array): Secret {
  return new Secret(hkdf32(mac, secret.expose(), concat(sessionId, context), 'envelope key v1'));
}

export function envelopeMac(mac: Mac, key: Secret, covered: Uint8Array): Uint8Array {
  return mac(key.expose(), covered).subarray(0, MAC_BYTES);
}

/** What is signed where there is no pair key. */
export function envelopeDigest(hash: Hash, context: Uint8Array, covered: Uint8Array): Uint8Array {
  return labelledHash(hash, 'envelope v1', context, covered);
}

export const ENVELOPE_LABEL = 'envelope v1';
