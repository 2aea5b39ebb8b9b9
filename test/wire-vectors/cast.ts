/** Devices whose keys anybody can make again, for vectors: from private keys that are one byte repeated. */

import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { statementText } from '../../src/drivers/vodozemac/statement.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { deriveDeviceId } from '../../src/entities/device-id.ts';
import { type AgreementKey, parseAgreementKey, parseDeviceKeys } from '../../src/entities/keys.ts';
import type { MeshId } from '../../src/entities/mesh-id.ts';
import { ENVELOPE_LABEL, envelopeDigest, type Party, pairContext } from '../../src/entities/pair-keys.ts';
import type { Result } from '../../src/entities/result.ts';
import { Secret } from '../../src/entities/secret.ts';

export const { hash, mac } = nodePrimitives;
export const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

export function must<T>(result: Result<T, string>): T {
  if ('refused' in result) throw new Error(`refused as ${result.refused}`);
  return result.ok;
}

export interface VectorDevice {
  readonly name: string;
  readonly signingSeed: Uint8Array;
  readonly agreementPrivate: Uint8Array;
  readonly party: Party;
  readonly signingKey: KeyObject;
}

function privateKey(curve: 'ed25519' | 'x25519', bytes: Uint8Array): KeyObject {
  const oid = curve === 'ed25519' ? '70' : '6e';
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${oid}04220420`, 'hex'), bytes]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function publicBytes(key: KeyObject): Uint8Array {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  if (x === undefined) throw new Error('a key without a public half');
  return Uint8Array.from(Buffer.from(x, 'base64url'));
}

function device(name: string, signingByte: number, agreementByte: number): VectorDevice {
  const signingSeed = filled(32, signingByte);
  const agreementPrivate = filled(32, agreementByte);
  const signingKey = privateKey('ed25519', signingSeed);
  const agreement = publicBytes(privateKey('x25519', agreementPrivate));
  const keys = must(parseDeviceKeys(publicBytes(signingKey), agreement));
  return { name, signingSeed, agreementPrivate, signingKey, party: { id: deriveDeviceId(hash, keys), keys } };
}

export const laptop = device("Alice's laptop", 0x11, 0x12);
export const phone = device("Alice's phone", 0x21, 0x22);
export const mesh = toHex(filled(32, 0x31)) as MeshId;
export const inviteSecret = new Secret(filled(16, 0x41));

/** The public halves of one-time keys, of private ones that are one byte repeated. */
export function oneTimeKeys(...bytes: readonly number[]): AgreementKey[] {
  return bytes.map((byte) => must(parseAgreementKey(publicBytes(privateKey('x25519', filled(32, byte))))));
}

export const toPhone = pairContext(hash, mesh, laptop.party, phone.party);
export const toLaptop = pairContext(hash, mesh, phone.party, laptop.party);

/** The signature of an envelope from the laptop to the phone. */
export function signEnvelope(covered: Uint8Array): Uint8Array {
  const digest = envelopeDigest(hash, toPhone, covered);
  const text = statementText({ label: ENVELOPE_LABEL, digest });
  return Uint8Array.from(sign(null, Buffer.from(text), laptop.signingKey));
}
