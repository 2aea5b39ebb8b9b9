import { createHash, X509Certificate } from 'node:crypto';
import { createServer } from 'node:tls';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { KnownVersions, MqttSettings } from '../../../src/drivers/mqtt/settings.ts';
import { parseCertificatePin } from '../../../src/entities/certificate-pin.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import type { Transport } from '../../../src/usecases/ports/transport.ts';
import { authority, expired, forAnotherName, forLoopback } from '../../brokers/certificates.ts';
import { freePort } from '../../brokers/loopback.ts';
import {
  hasMosquitto,
  type Mosquitto,
  type MosquittoSettings,
  startMosquitto,
  withoutMosquitto,
} from '../../brokers/mosquitto.ts';
import { device, Witness } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const LAPTOP = device(1);
const PHONE = device(2);
const PASSWORD = 'correct horse battery';
const password = (text: string): Secret => new Secret(utf8(text));
const pinOf = ({ cert }: { readonly cert: string }): NonNullable<MqttSettings['pin']> => {
  const pin = parseCertificatePin(createHash('sha256').update(new X509Certificate(cert).raw).digest('hex'));
  if (pin === undefined) throw new Error('not a pin');
  return pin;
};

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function mosquitto(settings: MosquittoSettings): Promise<Mosquitto> {
  const broker = await startMosquitto(settings);
  ending.push(() => broker.stop());
  return broker;
}

function join(
  url: string,
  settings: Partial<MqttSettings>,
  versions?: KnownVersions,
): { transport: Transport; saw: Witness } {
  const transport = meshClient(url, LAPTOP, settings, versions);
  ending.push(() => transport.close());
  const saw = new Witness();
  transport.open(saw);
  return { transport, saw };
}

/** What a client is told first, where the connection must not come about. */
async function refusal(
  url: string,
  settings: Partial<MqttSettings>,
  versions?: KnownVersions,
): Promise<readonly [string, boolean]> {
  const { transport, saw } = join(url, settings, versions);
  await saw.failed(1);
  await transport.close();
  expect(saw.connections).toEqual([]);
  return [saw.failures[0]?.error.code ?? '', saw.failures[0]?.permanent ?? false];
}

describe.skipIf(!hasMosquitto)(`a login${hasMosquitto ? '' : ` (${withoutMosquitto})`}`, () => {
  it('is asked for by the broker, and a wrong one is a permanent refusal in either version', async () => {
    const { url } = await mosquitto({ logins: { alice: PASSWORD } });
    for (const version of [4, 5] as const) {
      const versions: KnownVersions = new Map([[url, version]]);
      const wrong = { username: 'alice', password: password('wrong') };
      // Mosquitto 2.0.11 says "not authorised" to a wrong password as well.
      expect(await refusal(url, wrong, versions)).toEqual(['broker-not-authorised', true]);
      expect(await refusal(url, {}, versions)).toEqual(['broker-not-authorised', true]);
      await join(url, { username: 'alice', password: password(PASSWORD) }, versions).saw.connectedTimes(1);
    }
  });

  it('that may not publish to a device is told so with MQTT 5', async () => {
    const { url } = await mosquitto({
      logins: { alice: PASSWORD },
      acl: ['user alice', `topic readwrite /mesh/${LAPTOP}`],
    });
    const { transport, saw } = join(url, { username: 'alice', password: password(PASSWORD) });
    await saw.connectedTimes(1);
    expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('not-allowed');
    expect(await transport.publish(LAPTOP, Uint8Array.of(2))).toBe('taken');
    await saw.has(1);
  });

  it('shows in no inspection, no error and no status', async () => {
    const { url } = await mosquitto({ logins: { alice: PASSWORD } });
    const { transport, saw } = join(url, { username: 'alice', password: password(PASSWORD) });
    await saw.connectedTimes(1);
    const wrong = join(url, { username: 'alice', password: password('even wronger') });
    await wrong.saw.failed(1);
    const everything = [transport, wrong.transport, wrong.saw.failures].map((value) =>
      inspect(value, { depth: 20, showHidden: true, getters: true }),
    );
    for (const secret of [PASSWORD, 'even wronger']) {
      expect(everything.join()).not.toContain(secret);
      expect(everything.join()).not.toContain(Buffer.from(secret).toString('hex').slice(0, 16));
      expect(everything.join()).not.toContain([...Buffer.from(secret)].slice(0, 6).join(', '));
    }
  });
});

describe.skipIf(!hasMosquitto)(`TLS${hasMosquitto ? '' : ` (${withoutMosquitto})`}`, () => {
  const secure = ({ tlsPort }: Mosquitto, host = '127.0.0.1'): string => `mqtts://${host}:${tlsPort}`;

  it('trusts the authority it is given, for the name it stands for', async () => {
    const broker = await mosquitto({ tls: forLoopback });
    await join(secure(broker), { ca: authority }).saw.connectedTimes(1);
    await join(secure(broker, 'localhost'), { ca: authority }).saw.connectedTimes(1);
    expect(await refusal(secure(broker), {})).toEqual(['broker-tls-untrusted', true]);
  });

  it('refuses a certificate for another name, and one that is out of date', async () => {
    const other = await mosquitto({ tls: forAnotherName });
    expect(await refusal(secure(other), { ca: authority })).toEqual(['broker-tls-wrong-name', true]);
    const late = await mosquitto({ tls: expired });
    expect(await refusal(secure(late), { ca: authority })).toEqual(['broker-tls-expired', false]);
  });

  it('with a pin asks for nothing but the pinned certificate', async () => {
    for (const tls of [forAnotherName, expired]) {
      const broker = await mosquitto({ tls });
      await join(secure(broker), { pin: pinOf(tls) }).saw.connectedTimes(1);
      const mismatch = await refusal(secure(broker), { pin: pinOf(forLoopback), ca: authority });
      expect(mismatch).toEqual(['broker-pin-mismatch', true]);
    }
  });

  it('works below WebSockets, with the same checks', async () => {
    const { webSocketPort } = await mosquitto({ tls: forLoopback, webSockets: true });
    const url = `wss://localhost:${webSocketPort}/mqtt`;
    const { transport, saw } = join(url, { pin: pinOf(forLoopback) });
    await saw.connectedTimes(1);
    expect(await transport.publish(LAPTOP, Uint8Array.of(1))).toBe('taken');
    await saw.has(1);
    await join(url, { ca: authority }).saw.connectedTimes(1);
    expect(await refusal(url, {})).toEqual(['broker-tls-untrusted', true]);
    expect(await refusal(url, { pin: pinOf(expired) })).toEqual(['broker-pin-mismatch', true]);
  });

  it('says what is wrong where one end speaks it and the other does not', async () => {
    const broker = await mosquitto({ tls: forLoopback });
    expect(await refusal(`mqtts://127.0.0.1:${broker.port}`, { ca: authority })).toEqual([
      expect.stringMatching(/^broker-(?:tls-failed|unreachable)$/),
      false,
    ]);
    expect(await refusal(`mqtt://127.0.0.1:${broker.tlsPort}`, {})).toEqual(['broker-silent', false]);
  });
});

describe('before the certificate is checked', () => {
  it('not one byte goes out, so Mallory’s broker learns no password', async () => {
    for (const settings of [{}, { pin: pinOf(forAnotherName) }, { ca: authority }]) {
      const heard: Buffer[] = [];
      const server = createServer({ key: expired.key, cert: expired.cert }, (socket) => {
        socket.on('data', (bytes) => heard.push(bytes));
        socket.on('error', () => undefined);
      });
      server.on('tlsClientError', () => undefined);
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      for (const scheme of ['mqtts', 'wss']) {
        const login = { username: 'alice', password: password(PASSWORD), ...settings };
        await refusal(`${scheme}://127.0.0.1:${port}`, login);
      }
      await new Promise((resolve) => server.close(resolve));
      expect(heard).toEqual([]);
    }
  });

  it('the broker is asked for by the name in the URL, and by none where that is an address', async () => {
    const names: unknown[] = [];
    const server = createServer({ key: forLoopback.key, cert: forLoopback.cert }, (socket) => {
      names.push(socket.servername);
      socket.destroy();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    for (const host of ['localhost', '127.0.0.1']) {
      await refusal(`mqtts://${host}:${port}`, { ca: authority }, new Map([[`mqtts://${host}:${port}`, 5]]));
    }
    await new Promise((resolve) => server.close(resolve));
    expect(new Set(names)).toEqual(new Set(['localhost', false]));
  });
});
