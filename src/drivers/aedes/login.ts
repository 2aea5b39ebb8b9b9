/** Who may use the embedded broker, and for what. */
import { createHash } from 'node:crypto';
import type { DeviceId } from '../../entities/device-id.ts';
import type { Secret } from '../../entities/secret.ts';

/** A member: publishes to inboxes, reads its own. */
export interface DeviceLogin {
  readonly kind: 'device';
  readonly name: string;
  readonly passwordHash: Uint8Array;
  readonly device: DeviceId;
}

/**
 * A newcomer during pairing: publishes to the inviter only, and reads one inbox. Which one, nobody knows when
 * the invite is made: it is the first that it asks for, and never the inviter's or another newcomer's.
 */
export interface InviteLogin {
  readonly kind: 'invite';
  readonly name: string;
  readonly passwordHash: Uint8Array;
  readonly inviter: DeviceId;
}

export type Login = DeviceLogin | InviteLogin;

/**
 * A plain hash will do: these passwords are 16 random bytes or more, made by the program, so there is nothing to
 * guess that a slow hash would protect; and a slow one would let strangers keep a Pi busy.
 */
export function hashBrokerPassword(name: string, password: Secret): Uint8Array {
  return hashGiven(name, password.expose());
}

export function hashGiven(name: string, password: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(`trusted-mesh broker login v1\0${Buffer.byteLength(name)}\0${name}\0`)
    .update(password)
    .digest();
}
