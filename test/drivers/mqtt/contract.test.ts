import { describe } from 'vitest';
import { type EmbeddedBroker, startBroker } from '../../../src/drivers/aedes/embedded-broker.ts';
import { type DeviceLogin, hashBrokerPassword } from '../../../src/drivers/aedes/login.ts';
import type { KnownVersions } from '../../../src/drivers/mqtt/settings.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { freePort } from '../../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto, withoutMosquitto } from '../../brokers/mosquitto.ts';
import { device, type TransportWorld, transportContract } from '../../contracts/transport.ts';
import { meshClient } from './mesh-client.ts';

const CAST = [device(1), device(2), device(3)];

function overMosquitto(
  url: (broker: Mosquitto) => string,
  settings: { readonly webSockets?: boolean; readonly persistence?: boolean },
  versions: KnownVersions,
  largest = 1 << 20,
): () => Promise<TransportWorld> {
  return async () => {
    const broker = await startMosquitto(settings);
    return {
      transport: (id) => meshClient(url(broker), id, { clientId: `client-${id}` }, versions),
      crash: () => broker.kill(),
      restart: () => broker.restart(),
      remembers: settings.persistence === true,
      largest,
      stop: () => broker.stop(),
    };
  };
}

/** A broker that is known to speak 3.1.1 only is not asked for anything else. */
class Only311 extends Map<string, 4 | 5> {
  override get(): 4 {
    return 4;
  }
}

describe.skipIf(!hasMosquitto)(
  `MQTT.js over Mosquitto${hasMosquitto ? '' : ` (${withoutMosquitto})`}`,
  () => {
    describe('with MQTT 5', () => {
      transportContract(overMosquitto(({ url }) => url, { persistence: true }, new Map()));
    });

    describe('with MQTT 3.1.1', () => {
      transportContract(overMosquitto(({ url }) => url, {}, new Only311()));
    });

    describe('with MQTT 5 over WebSockets', () => {
      const url = (broker: Mosquitto): string => `ws://127.0.0.1:${broker.webSocketPort}/mqtt`;
      // Mosquitto 2.0.11 hands 4 KiB to a WebSocket every 100 ms, so 1 MiB would take half a minute.
      transportContract(overMosquitto(url, { webSockets: true }, new Map(), 16_384));
    });
  },
);

describe('MQTT.js over the embedded broker', () => {
  transportContract(async () => {
    const password = new Secret(new Uint8Array(16).fill(7));
    const logins = CAST.map(
      (id): DeviceLogin => ({
        kind: 'device',
        name: `login-${id}`,
        passwordHash: hashBrokerPassword(`login-${id}`, password),
        device: id,
      }),
    );
    const port = await freePort();
    const start = (): Promise<EmbeddedBroker> => startBroker({ host: '127.0.0.1', port, logins });
    let broker = await start();
    return {
      transport: (id: DeviceId) =>
        meshClient(`mqtt://127.0.0.1:${port}`, id, {
          clientId: `client-${id}`,
          username: `login-${id}`,
          password,
        }),
      crash: () => broker.stop(),
      restart: async () => {
        broker = await start();
      },
      remembers: false,
      stop: () => broker.stop(),
    };
  });
});
