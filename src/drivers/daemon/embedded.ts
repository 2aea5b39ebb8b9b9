/**
 * Logins for the broker inside the daemon. Each device's password is made from one secret of this device and
 * the device's id, so there is no list to keep in step with the roster: a member has a login, others have none.
 */
import { toBase64Url } from '../../entities/bytes.ts';
import { hkdf32, type Mac } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import { type DeviceLogin, hashBrokerPassword } from '../aedes/login.ts';

export interface EmbeddedLogin {
  readonly name: string;
  readonly password: Secret;
}

/** The password is text, so that a person could type it. */
export function embeddedLogin(mac: Mac, secret: Secret, device: DeviceId): EmbeddedLogin {
  const bytes = hkdf32(mac, secret.expose(), utf8(device), 'embedded broker login v1');
  return { name: device, password: new Secret(utf8(toBase64Url(bytes.subarray(0, 24)))) };
}

export function deviceLogins(mac: Mac, secret: Secret, devices: Iterable<DeviceId>): DeviceLogin[] {
  return [...devices].map((device) => {
    const { name, password } = embeddedLogin(mac, secret, device);
    return { kind: 'device', name, device, passwordHash: hashBrokerPassword(name, password) };
  });
}
