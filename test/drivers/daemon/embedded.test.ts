import { expect, test } from 'vitest';
import { hashBrokerPassword } from '../../../src/drivers/aedes/login.ts';
import { deviceLogins, embeddedLogin } from '../../../src/drivers/daemon/embedded.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { fromUtf8 } from '../../../src/entities/text.ts';
import { device } from '../../contracts/transport.ts';

const { mac } = nodePrimitives;
const secret = new Secret(new Uint8Array(32).fill(1));
const text = (login: { readonly password: Secret }): string | undefined => fromUtf8(login.password.expose());

test('a device gets the same login each time, and no other device gets it', () => {
  const login = embeddedLogin(mac, secret, device(1));
  expect(text(login)).toMatch(/^[\w-]{32}$/);
  expect(text(embeddedLogin(mac, secret, device(1)))).toBe(text(login));
  expect(text(embeddedLogin(mac, secret, device(2)))).not.toBe(text(login));
  const other = new Secret(new Uint8Array(32).fill(2));
  expect(text(embeddedLogin(mac, other, device(1)))).not.toBe(text(login));
});

test('the broker is given the hashes of just these', () => {
  const logins = deviceLogins(mac, secret, [device(1), device(2)]);
  expect(logins.map((login) => login.device)).toEqual([device(1), device(2)]);
  for (const login of logins) {
    const { name, password } = embeddedLogin(mac, secret, login.device);
    expect(login).toMatchObject({ kind: 'device', name, passwordHash: hashBrokerPassword(name, password) });
  }
});
