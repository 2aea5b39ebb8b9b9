import { createHash, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startBroker } from '../../../src/drivers/aedes/embedded-broker.ts';
import { parseCertificatePin } from '../../../src/entities/certificate-pin.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { expired, forLoopback } from '../../brokers/certificates.ts';
import { eventually, freePort } from '../../brokers/loopback.ts';
import { Witness } from '../../contracts/transport.ts';
import { meshClient } from '../mqtt/mesh-client.ts';
import { House, inbox, LAPTOP, LOGINS, PHONE, passwordOf, TABLET } from './guests.ts';

let house: House;
beforeEach(async () => {
  house = await House.open();
});
afterEach(() => house.close());

describe('under load the embedded broker', () => {
  it('gives strangers little room, and lets members in all the same', async () => {
    await house.close();
    house = await House.open({ strangers: 8, strangerTime: 60_000 });
    const sockets = await Promise.all(Array.from({ length: 50 }, () => house.socket()));
    await eventually(() => sockets.filter(({ destroyed }) => destroyed).length === 42, 'most are gone');
    expect(house.broker.status().strangers).toBe(8);
    const laptop = await house.guest('laptop');
    expect(await laptop.publish(inbox(LAPTOP), 'x')).toBe(true);
    const talker = await house.socket();
    talker.write(Buffer.from([0x10, 0xff, 0xff, 0x7f]));
    await eventually(() => talker.destroyed, 'a huge greeting is not waited for');
  });

  it('gives strangers little time', async () => {
    await house.close();
    house = await House.open({ strangerTime: 100 });
    const laptop = await house.guest('laptop');
    const silent = await house.socket();
    const slow = await house.socket();
    slow.write(Buffer.from([0x10, 0x20, 0]));
    await eventually(() => silent.destroyed && slow.destroyed, 'both are gone');
    expect(laptop.closed).toBe(false);
  });

  it('keeps so many packets and bytes for who is away, and counts what it drops', async () => {
    await house.close();
    house = await House.open({ packetsPerLogin: 3, bytesPerLogin: 5000, bytes: 6500 });
    for (const [name, id] of [
      ['phone', PHONE],
      ['tablet', TABLET],
    ] as const) {
      const guest = await house.guest(name);
      await guest.subscribe(inbox(id));
      await guest.leave();
    }
    const laptop = await house.guest('laptop');
    for (const text of ['1', '2', '3', '4', '5']) await laptop.publish(inbox(PHONE), text);
    await eventually(() => house.broker.status().dropped === 2, 'packets');
    await laptop.publish(inbox(TABLET), Buffer.alloc(4000));
    await laptop.publish(inbox(TABLET), Buffer.alloc(1000));
    await eventually(() => house.broker.status().dropped === 3, 'bytes of one');
    await laptop.subscribe(inbox(LAPTOP));
    await laptop.publish(inbox(LAPTOP), Buffer.alloc(600));
    await eventually(() => laptop.heard.length === 1, 'who is there hears all the same');
    expect(house.broker.status().dropped).toBe(4);
    const phone = await house.guest('phone');
    await eventually(() => phone.heard.length === 3, 'three');
    expect(phone.heard.map((line) => line.at(-1))).toEqual(['1', '2', '3']);
    await laptop.publish(inbox(PHONE), 'live');
    await eventually(() => phone.heard.length === 4, 'live');
    await eventually(() => house.broker.status().queuedPackets === 1, 'only the tablet’s is left');
  });

  it('cuts off a member who does not read, and nobody waits for it', async () => {
    await house.close();
    house = await House.open({ unreadBytes: 200_000 });
    const phone = await house.guest('phone');
    await phone.subscribe(inbox(PHONE));
    phone.client.stream.pause();
    const tablet = await house.guest('tablet');
    await tablet.subscribe(inbox(TABLET));
    const laptop = await house.guest('laptop');
    for (let i = 0; i < 200; i++) await laptop.publish(inbox(PHONE), Buffer.alloc(60_000));
    await laptop.publish(inbox(TABLET), 'fine');
    await eventually(() => tablet.heard.length === 1, 'the tablet hears');
    await eventually(() => house.broker.status().clients === 2, 'the phone is cut off');
    const back = await house.guest('phone');
    await eventually(() => back.heard.length > 0, 'it finds its queue');
  });
});

describe('starting and stopping the embedded broker', () => {
  const settings = { host: '127.0.0.1', port: 0, logins: LOGINS };

  it('needs TLS beyond the loopback', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org']) {
      await expect(startBroker({ ...settings, host })).rejects.toMatchObject({
        code: 'embedded-broker-needs-tls',
        exit: 2,
      });
    }
  });

  it('serves TLS with the certificate it is given', async () => {
    const broker = await startBroker({ ...settings, tls: forLoopback });
    const raw = new X509Certificate(forLoopback.cert).raw;
    const pin = parseCertificatePin(createHash('sha256').update(raw).digest('hex'));
    const transport = meshClient(`mqtts://127.0.0.1:${broker.port}`, LAPTOP, {
      pin,
      username: 'laptop',
      password: new Secret(utf8(passwordOf('laptop'))),
    });
    const saw = new Witness();
    transport.open(saw);
    await saw.connectedTimes(1);
    expect(await transport.publish(LAPTOP, new Uint8Array(100_000))).toBe('taken');
    await saw.has(1);
    expect(saw.log).toEqual(['connected', 'packet']);
    await transport.close();
    await broker.stop();
  });

  it('says what is wrong with a certificate, an address or a prefix', async () => {
    const bad = { key: forLoopback.key, cert: expired.cert };
    await expect(startBroker({ ...settings, tls: bad })).rejects.toMatchObject({
      code: 'embedded-broker-bad-certificate',
    });
    await expect(startBroker({ ...settings, port: house.broker.port })).rejects.toMatchObject({
      code: 'embedded-broker-cannot-listen',
    });
    await expect(startBroker({ ...settings, topicPrefix: '#/' })).rejects.toMatchObject({
      code: 'broker-topic-prefix-invalid',
    });
  });

  it('leaves no handle behind', async () => {
    const count = (): number => process.getActiveResourcesInfo().length;
    const before = count();
    const port = await freePort();
    for (let i = 0; i < 20; i++) {
      const broker = await startBroker({ ...settings, port });
      const transport = meshClient(`mqtt://127.0.0.1:${port}`, LAPTOP, {
        username: 'laptop',
        password: new Secret(utf8(passwordOf('laptop'))),
      });
      const saw = new Witness();
      transport.open(saw);
      await saw.connectedTimes(1);
      await broker.stop();
      await transport.close();
    }
    await eventually(() => count() <= before + 2, 'as few handles as before');
  });
});
