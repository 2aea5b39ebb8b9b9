/** What follows from the secret of an invite. Whoever holds the link holds all of it, and proves that much and no more. */
import { concat, equal, toBase64Url, toHex } from '../bytes.ts';
import { hkdf32, type Mac } from '../crypto.ts';
import { type DeviceId, deviceIdBytes } from '../device-id.ts';
import { Secret } from '../secret.ts';
import { utf8 } from '../text.ts';
import { TAG_BYTES } from '../wire/envelope.ts';

const NO_SALT = new Uint8Array(0);

/** Names the invite in the clear, and says nothing about the secret. */
export function inviteTag(mac: Mac, secret: Secret): Uint8Array {
  return hkdf32(mac, secret.expose(), NO_SALT, 'invite tag v1').subarray(0, TAG_BYTES);
}

export interface InviteLogin {
  readonly name: string;
  /** Text, as bytes. */
  readonly password: Secret;
}

/** The login with which a newcomer reaches the broker inside the inviter's daemon. */
export function inviteLogin(mac: Mac, secret: Secret): InviteLogin {
  const password = hkdf32(mac, secret.expose(), NO_SALT, 'invite login v1').subarray(0, 24);
  return {
    name: `invite-${toHex(inviteTag(mac, secret).subarray(0, 4))}`,
    password: new Secret(utf8(toBase64Url(password))),
  };
}

export type PairingDirection = 'to inviter' | 'to newcomer';

/** Both ends of one pairing. */
export interface PairingEnds {
  readonly inviter: DeviceId;
  readonly newcomer: DeviceId;
}

/**
 * Covers both ids besides the packet, so that no message can be handed to somebody else, and has a key for each
 * direction, so that none can be sent back.
 */
export function pairingMac(
  mac: Mac,
  secret: Secret,
  direction: PairingDirection,
  { inviter, newcomer }: PairingEnds,
  covered: Uint8Array,
): Uint8Array {
  const key = hkdf32(mac, secret.expose(), NO_SALT, `pairing ${direction} v1`);
  return mac(key, concat(deviceIdBytes(inviter), deviceIdBytes(newcomer)), covered);
}

export function isPairingMac(
  mac: Mac,
  secret: Secret,
  direction: PairingDirection,
  ends: PairingEnds,
  covered: Uint8Array,
  claimed: Uint8Array,
): boolean {
  return equal(pairingMac(mac, secret, direction, ends, covered), claimed);
}
