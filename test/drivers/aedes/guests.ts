/** Guests of the embedded broker who keep to no rules, and the logins they have. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import {
  type BrokerLimits,
  type EmbeddedBroker,
  startBroker,
} from '../../../src/drivers/aedes/embedded-broker.ts';
import { type DeviceLogin, hashBrokerPassword, type InviteLogin } from '../../../src/drivers/aedes/login.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { device } from '../../contracts/transport.ts';

export const LAPTOP = device(1);
export const PHONE = device(2);
export const TABLET = device(3);
export const NEWCOMER = device(9);

export const inbox = (id: string): string => `/mesh/${id}`;
export const passwordOf = (name: string): string => `password of ${name}`;
const hashOf = (name: string): Uint8Array => hashBrokerPassword(name, new Secret(utf8(passwordOf(name))));

export const deviceLogin = (name: string, id: typeof LAPTOP): DeviceLogin => ({
  kind: 'device',
  name,
  device: id,
  passwordHash: hashOf(name),
});
export const invite = (name: string): InviteLogin => ({
  kind: 'invite',
  name,
  inviter: LAPTOP,
  passwordHash: hashOf(name),
});

export const LOGINS = [
  deviceLogin('laptop', LAPTOP),
  deviceLogin('phone', PHONE),
  deviceLogin('tablet', TABLET),
  invite('invite'),
];

export class House {
  readonly broker: EmbeddedBroker;
  readonly #ending: (() => Promise<unknown>)[] = [];

  constructor(broker: EmbeddedBroker) {
    this.broker = broker;
  }

  static async open(limits: Partial<BrokerLimits> = {}): Promise<House> {
    return new House(await startBroker({ host: '127.0.0.1', port: 0, logins: LOGINS, limits }));
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.broker.port}`;
  }

  /** Connects, or does not, but is there to look at. */
  call(name: string, options: IClientOptions = {}): Guest {
    const client = connect(this.url, {
      username: name,
      password: passwordOf(name),
      clientId: `id-of-${name}`,
      clean: false,
      reconnectPeriod: 0,
      ...options,
    });
    this.#ending.push(() => client.endAsync(true));
    return new Guest(client);
  }

  async guest(name: string, options: IClientOptions = {}): Promise<Guest> {
    const guest = this.call(name, options);
    await guest.connected();
    return guest;
  }

  async socket(): Promise<Socket> {
    const socket = connectTcp(this.broker.port, '127.0.0.1');
    socket.on('error', () => undefined);
    this.#ending.push(async () => socket.destroy());
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    return socket;
  }

  async close(): Promise<void> {
    for (const end of this.#ending.reverse()) await end();
    await this.broker.stop();
  }
}

export class Guest {
  readonly client: MqttClient;
  readonly heard: string[] = [];
  closed = false;
  refusal: unknown;

  constructor(client: MqttClient) {
    this.client = client;
    client.on('message', (topic, payload) => this.heard.push(`${topic} ${payload.toString()}`));
    client.on('close', () => {
      this.closed = true;
    });
    client.on('error', (error) => {
      this.refusal = 'code' in error ? error.code : undefined;
    });
  }

  connected(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
      this.client.once('close', () => reject(new Error('closed instead')));
    });
  }

  /** The granted QoS, or 128, of each filter. */
  subscribe(...filters: readonly string[]): Promise<number[]> {
    return new Promise((resolve) => {
      this.client.subscribe([...filters], { qos: 1 }, (_error, _grants, answer) =>
        resolve((answer?.granted ?? []).map(Number)),
      );
    });
  }

  /** Resolves when the broker has taken it, or with `false` when it hangs up instead. */
  publish(
    topic: string,
    payload: string | Buffer,
    more: { readonly retain?: boolean; readonly qos?: 1 | 2 } = {},
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const hungUp = (): void => resolve(false);
      this.client.once('close', hungUp);
      this.client.publish(topic, payload, { qos: 1, ...more }, (error) => {
        this.client.removeListener('close', hungUp);
        resolve(!error);
      });
    });
  }

  async leave(): Promise<void> {
    await this.client.endAsync();
  }
}
