/** MQTT.js with nothing around it, as a program would use it that wants QoS 1: the ceiling of the transport. */
import type { Socket } from 'node:net';
import mqtt, { type MqttClient } from 'mqtt';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';

const IN_FLIGHT = 64;

let client: MqttClient | undefined;
let heard = 0;
let seen = 0;
let wanted = Number.POSITIVE_INFINITY;
let complete: () => void = () => undefined;
let answered: () => void = () => undefined;
let answering: string | undefined;

function connected(): MqttClient {
  if (client === undefined) throw new Error('it was not opened');
  return client;
}

export const rawMqtt = {
  /** Its own topic is where it listens. */
  async open(url: string, topic: string): Promise<void> {
    client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
    // As it comes, an answer would wait for the acknowledgement of the packet before it: forty milliseconds each time.
    if ('setNoDelay' in client.stream) (client.stream as Socket).setNoDelay(true);
    await client.subscribeAsync(topic, { qos: 1 });
    client.on('message', (on, payload) => {
      seen += on.length + payload.length;
      heard += 1;
      if (heard === wanted) complete();
      answered();
      if (answering !== undefined) connected().publish(answering, payload, { qos: 1 });
    });
  },

  /** Resolves when so many more have arrived. */
  expect(count: number): Promise<void> {
    return new Promise((resolve) => {
      heard = 0;
      wanted = count;
      complete = resolve;
    });
  },

  /** Milliseconds until the broker has confirmed all of them, 64 of them under way at a time. */
  burst(topic: string, bytes: number, count: number): Promise<number> {
    const publisher = connected();
    const payload = Buffer.from(nodeRandomness(bytes));
    const began = performance.now();
    return new Promise((resolve, reject) => {
      let sent = 0;
      let confirmed = 0;
      const next = (): void => {
        if (sent === count) return;
        sent += 1;
        publisher.publish(topic, payload, { qos: 1 }, (error) => {
          if (error) return reject(error);
          confirmed += 1;
          if (confirmed === count) resolve(performance.now() - began);
          else next();
        });
      };
      for (let i = 0; i < IN_FLIGHT; i++) next();
    });
  },

  /** Milliseconds from one message to its answer, one after the other. */
  async pingPong(topic: string, bytes: number, count: number): Promise<readonly number[]> {
    const payload = Buffer.from(nodeRandomness(bytes));
    const took: number[] = [];
    for (let i = 0; i < count; i++) {
      const began = performance.now();
      const answer = new Promise<void>((resolve) => {
        answered = resolve;
      });
      connected().publish(topic, payload, { qos: 1 });
      await answer;
      took.push(performance.now() - began);
    }
    answered = () => undefined;
    return took;
  },

  /** Milliseconds on a processor so far. */
  async used(): Promise<number> {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },

  /** Bytes of topics and payloads so far. */
  async seen(): Promise<number> {
    return seen;
  },

  async echo(topic: string | undefined): Promise<void> {
    answering = topic;
  },
};
