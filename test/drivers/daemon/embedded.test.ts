import { networkInterfaces } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createSealedKeystore, openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { reachableAddress } from '../../../src/drivers/aedes/address.ts';
import { hashBrokerPassword } from '../../../src/drivers/aedes/login.ts';
import {
  announcement,
  deviceLogins,
  type Embedded,
  type EmbeddedOptions,
  embeddedLogin,
  openEmbedded,
} from '../../../src/drivers/daemon/embedded.ts';
import type { MqttSettings } from '../../../src/drivers/mqtt/settings.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import { type CertificatePin, parseCertificatePin } from '../../../src/entities/certificate-pin.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { fromUtf8, utf8 } from '../../../src/entities/text.ts';
import type { Keystore } from '../../../src/usecases/ports/keystore.ts';
import type { Transport } from '../../../src/usecases/ports/transport.ts';
import { createSettings } from '../../../src/usecases/settings.ts';
import { eventually, freePort } from '../../brokers/loopback.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { memoryStore } from '../../support/keystore.ts';
import { meshClient } from '../mqtt/mesh-client.ts';

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

const LAPTOP = device(1);
const PHONE = device(2);
const TABLET = device(3);
const NEWCOMER = device(9);
const packet = Uint8Array.of(1, 2, 3);
const hasIPv6 = Object.values(networkInterfaces()).some((infos) =>
  infos?.some(({ address }) => address === '::1'),
);

let store: ReturnType<typeof memoryStore>;
let keystore: Keystore;
const ending: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  store = memoryStore();
  keystore = await createSealedKeystore(store.parts());
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** The laptop's broker, which knows the phone besides. */
async function open(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await openEmbedded(keystore, {
    host: '127.0.0.1',
    port: 0,
    self: LAPTOP,
    members: [LAPTOP, PHONE],
    ...options,
  });
  ending.push(() => embedded.stop());
  return embedded;
}

interface Visitor {
  readonly transport: Transport;
  readonly saw: Witness;
}

function visit(embedded: Embedded, as: DeviceId, more: Partial<MqttSettings> = {}): Visitor {
  const { urls, ...settings } = { ...embedded.settingsFor(as, undefined), ...more };
  const transport = meshClient(urls, as, settings);
  ending.push(() => transport.close());
  const saw = new Witness();
  transport.open(saw);
  return { transport, saw };
}

async function arrive(...given: Parameters<typeof visit>): Promise<Visitor> {
  const visitor = visit(...given);
  await visitor.saw.connectedTimes(1);
  return visitor;
}

/** What a visitor is told who never gets in. */
async function refusal(...given: Parameters<typeof visit>): Promise<string | undefined> {
  const { transport, saw } = visit(...given);
  await saw.failed(1);
  await transport.close();
  expect(saw.connections).toEqual([]);
  return saw.failures[0]?.error.code;
}

const pin = (byte: string): CertificatePin => {
  const parsed = parseCertificatePin(byte.repeat(32));
  if (parsed === undefined) throw new Error('not a pin');
  return parsed;
};

describe('on the loopback', () => {
  it('the broker is plain, for this machine only, and says so', async () => {
    const embedded = await open();
    expect(embedded).toMatchObject({ tls: false, pin: undefined });
    expect(embedded.address).toMatch(/^mqtt:\/\/127\.0\.0\.1:\d+$/);
    expect(embedded.ownUrl).toBe(embedded.address);
    expect(embedded.inviteUrl).toBe(embedded.address);
    expect(announcement(embedded)).toEqual({
      address: embedded.address,
      invite: embedded.address,
      tls: false,
      pin: null,
    });
    await arrive(embedded, LAPTOP);
  });

  it('is also whatever a name leads to', async () => {
    const embedded = await open({ host: 'localhost' });
    expect(embedded.tls).toBe(false);
    await arrive(embedded, LAPTOP);
  });

  it('has the usual ports where none is said', async () => {
    // Somebody may use them here, and is named then.
    const port = async (host: string): Promise<string> => {
      try {
        return (await open({ host, port: undefined })).address;
      } catch (error) {
        return String(error);
      }
    };
    expect(await port('127.0.0.77')).toMatch(/127\.0\.0\.77:1883\b/);
    expect(await port('0.0.0.0')).toMatch(/0\.0\.0\.0:8883\b/);
  });

  it('a port in use and a name that leads nowhere are told of', async () => {
    const port = await freePort();
    await open({ port });
    const cannot = { code: 'embedded-broker-cannot-listen' };
    await expect(open({ port })).rejects.toMatchObject({ ...cannot, data: { port, detail: 'EADDRINUSE' } });
    await expect(open({ host: 'nowhere.invalid' })).rejects.toMatchObject(cannot);
  });
});

describe('beyond the loopback', () => {
  it('the broker speaks TLS only, and is known by its pin', async () => {
    const embedded = await open({ host: '0.0.0.0' });
    expect(embedded.tls).toBe(true);
    expect(embedded.address).toMatch(/^mqtts:\/\/0\.0\.0\.0:\d+$/);
    expect(embedded.ownUrl).toBe(embedded.address.replace('0.0.0.0', '127.0.0.1'));
    const { transport, saw } = await arrive(embedded, LAPTOP);
    expect(await transport.publish(LAPTOP, packet)).toBe('taken');
    await saw.has(1);
    expect(await refusal(embedded, PHONE, { pin: pin('ab') })).toBe('broker-pin-mismatch');
    expect(await refusal(embedded, PHONE, { pin: undefined })).toBe('broker-tls-untrusted');
    const plain = embedded.ownUrl.replace('mqtts:', 'mqtt:');
    expect(await refusal(embedded, PHONE, { urls: [plain] })).toMatch(
      /^broker-(?:lost|protocol|silent|unreachable)$/,
    );
    expect(embedded.status().clients).toBe(1);
  });

  it('an invite names an address that others can reach, or the name that was given', async () => {
    const embedded = await open({ host: '0.0.0.0' });
    const address = reachableAddress('0.0.0.0', networkInterfaces());
    const port = new URL(embedded.address).port;
    expect(embedded.inviteUrl).toBe(address === undefined ? undefined : `mqtts://${address}:${port}`);
    const own = Object.values(networkInterfaces())
      .flat()
      .find((info) => info !== undefined && !info.internal && info.family === 'IPv4')?.address;
    if (own === undefined) return;
    const single = await open({ host: own });
    expect(single.tls).toBe(true);
    expect(single.inviteUrl).toBe(single.address);
    expect(single.ownUrl).toBe(single.address);
    await arrive(single, LAPTOP);
  });

  it.skipIf(!hasIPv6)('both families are served, and this device takes the newer one', async () => {
    const embedded = await open({ host: '::' });
    expect(embedded.address).toMatch(/^mqtts:\/\/\[::\]:\d+$/);
    expect(embedded.ownUrl).toBe(embedded.address.replace('[::]', '[::1]'));
    await arrive(embedded, LAPTOP);
    await arrive(embedded, PHONE, { urls: [embedded.ownUrl.replace('[::1]', '127.0.0.1')] });
    const spelled = await open({ host: '0:0:0:0:0:0:0:1' });
    expect(spelled.ownUrl).toMatch(/^mqtt:\/\/\[::1\]:\d+$/);
    await arrive(spelled, LAPTOP);
  });

  it('the certificate stays the same across restarts, and another store has another', async () => {
    const first = await open({ host: '0.0.0.0' });
    await first.stop();
    await keystore.close();
    keystore = await openSealedKeystore(store.parts());
    const second = await open({ host: '0.0.0.0' });
    expect(toHex(second.pin ?? packet)).toBe(toHex(first.pin ?? new Uint8Array()));
    await arrive(second, LAPTOP, { pin: first.pin });
    keystore = await createSealedKeystore(memoryStore().parts());
    const third = await open({ host: '0.0.0.0' });
    expect(toHex(third.pin ?? packet)).not.toBe(toHex(first.pin ?? packet));
  });

  it('neither key nor certificate nor secret is a setting that people see', async () => {
    await open({ host: '0.0.0.0' });
    const settings = createSettings(keystore, async () => undefined);
    const kept = [...keystore.keys('setting')];
    expect(kept).toHaveLength(3);
    for (const key of kept) expect(await settings.show(key)).toEqual({ refused: 'setting-unknown' });
  });
});

describe('the logins of a running broker', () => {
  it('of those who became members count at once, and disturb nobody', async () => {
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP);
    expect(await refusal(embedded, TABLET)).toBe('broker-refused-login');
    embedded.setMembers([LAPTOP, PHONE, TABLET]);
    const tablet = await arrive(embedded, TABLET);
    expect(await laptop.transport.publish(TABLET, packet)).toBe('taken');
    await tablet.saw.has(1);
    expect(laptop.saw.failures).toEqual([]);
  });

  it('of one who is no member any more is worth nothing: no connection, no queue, no return', async () => {
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP);
    const phone = await arrive(embedded, PHONE);
    embedded.setMembers([LAPTOP]);
    await phone.saw.failed(2);
    expect(phone.saw.failures.at(-1)?.error.code).toBe('broker-refused-login');
    expect(await laptop.transport.publish(PHONE, packet)).toBe('taken');
    await pause(50);
    expect(phone.saw.connections).toHaveLength(1);
    expect(phone.saw.packets).toEqual([]);
    expect(embedded.status()).toMatchObject({ clients: 1, queuedPackets: 0 });
    expect(laptop.saw.failures).toEqual([]);
  });

  it('what waited for one who is no member any more is gone, also should it come back', async () => {
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP);
    const phone = await arrive(embedded, PHONE);
    await phone.transport.close();
    await laptop.transport.publish(PHONE, packet);
    expect(embedded.status().queuedPackets).toBe(1);
    embedded.setMembers([LAPTOP]);
    expect(embedded.status().queuedPackets).toBe(0);
    embedded.setMembers([LAPTOP, PHONE]);
    const again = await arrive(embedded, PHONE);
    expect(again.saw.connections).toMatchObject([{ resumed: false }]);
    expect(again.saw.packets).toEqual([]);
  });

  it('of this device stays, whatever the roster says', async () => {
    const embedded = await open({ members: [] });
    embedded.setMembers([PHONE]);
    await arrive(embedded, LAPTOP);
    embedded.setMembers([]);
    await arrive(embedded, LAPTOP);
  });

  it('of a device is the same after a restart', async () => {
    const before = await open();
    const login = before.loginFor(PHONE);
    await before.stop();
    await arrive(await open(), PHONE, { username: login.name, password: login.password });
  });
});

describe('the logins of invites', () => {
  const login = { name: 'newcomer', password: new Secret(utf8('from the secret in the link')) };
  const asNewcomer = { username: login.name, password: login.password };

  it('count from the invite on and until its end, and reach nobody but the inviter', async () => {
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP);
    const phone = await arrive(embedded, PHONE);
    expect(await refusal(embedded, NEWCOMER, asNewcomer)).toBe('broker-refused-login');
    embedded.setInvites([login]);
    const newcomer = await arrive(embedded, NEWCOMER, asNewcomer);
    expect(await newcomer.transport.publish(LAPTOP, packet)).toBe('taken');
    await laptop.saw.has(1);
    await newcomer.transport.publish(PHONE, packet);
    expect(phone.saw.packets).toEqual([]);
    embedded.setInvites([]);
    await eventually(
      () => newcomer.saw.failures.some(({ error }) => error.code === 'broker-refused-login'),
      'the newcomer is out',
    );
    expect(laptop.saw.failures).toEqual([]);
  });

  it('said again disturb nobody, and give way to the next ones', async () => {
    const embedded = await open();
    embedded.setInvites([login]);
    const newcomer = await arrive(embedded, NEWCOMER, asNewcomer);
    embedded.setInvites([{ ...login }]);
    embedded.setMembers([LAPTOP, PHONE, TABLET]);
    await pause(50);
    expect(newcomer.saw.log).toEqual(['connected']);
    const other = { name: 'another', password: login.password };
    embedded.setInvites([other]);
    await newcomer.saw.failed(2);
    expect(newcomer.saw.connections).toHaveLength(1);
    await arrive(embedded, device(8), { username: other.name, password: other.password });
    embedded.setInvites([{ ...other, password: new Secret(utf8('something else')) }]);
    expect(await refusal(embedded, device(7), { username: other.name, password: other.password })).toBe(
      'broker-refused-login',
    );
  });

  it('stand beside each other where several newcomers are awaited', async () => {
    const embedded = await open();
    const other = { name: 'another', password: login.password };
    embedded.setInvites([login, other]);
    const newcomer = await arrive(embedded, NEWCOMER, asNewcomer);
    const second = await arrive(embedded, device(8), { username: other.name, password: other.password });
    embedded.setInvites([other]);
    await newcomer.saw.failed(2);
    expect(second.saw.log).toEqual(['connected']);
  });
});

describe('another topic prefix', () => {
  it('counts at once, for everybody, and leaves nothing of the old one', async () => {
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP);
    const away = await arrive(embedded, PHONE);
    await away.transport.close();
    await laptop.transport.publish(PHONE, packet);
    embedded.setTopicPrefix('elsewhere/');
    await laptop.saw.failed(1);
    expect(embedded.status().queuedPackets).toBe(0);
    await laptop.transport.close();
    const moved = embedded.settingsFor(LAPTOP, 'elsewhere/');
    const back = await arrive(embedded, LAPTOP, moved);
    const phone = await arrive(embedded, PHONE, { topicPrefix: 'elsewhere/' });
    expect(await back.transport.publish(PHONE, packet)).toBe('taken');
    await phone.saw.has(1);
    expect(await refusal(embedded, PHONE)).toBe('broker-refused-subscription');
    expect(() => embedded.setTopicPrefix('#/')).toThrow();
  });

  it('that is the one already there disturbs nobody, and comes from the settings at the start', async () => {
    await keystore.commit([{ kind: 'setting', key: 'topic-prefix', put: 'elsewhere/' }]);
    const embedded = await open();
    const laptop = await arrive(embedded, LAPTOP, { topicPrefix: 'elsewhere/' });
    embedded.setTopicPrefix('elsewhere/');
    await pause(50);
    expect(laptop.saw.failures).toEqual([]);
    embedded.setTopicPrefix(undefined);
    await laptop.saw.failed(1);
    await laptop.transport.close();
    await arrive(embedded, LAPTOP, { topicPrefix: '/mesh/' });
  });
});
