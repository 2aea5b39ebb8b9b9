/** How MQTT.js is set up, and how it gets its stream where that goes through a WebSocket. */
import type { Socket } from 'node:net';
import { type IClientOptions, type MqttClient, Store } from 'mqtt';
import { streamBuilder as webSocketStream } from 'mqtt/lib/connect/ws';
import type { BrokerUrl } from '../../entities/broker-url.ts';
import type { Plan, ProtocolVersion } from './settings.ts';

/** MQTT.js's own time limit stands behind ours, for the case that the event loop was held up. */
const SECOND_LIMIT = 2;

export function clientOptions(plan: Plan, version: ProtocolVersion): IClientOptions {
  const { limits } = plan;
  return {
    protocolVersion: version,
    clientId: plan.clientId,
    clean: plan.clean,
    keepalive: limits.keepaliveSeconds,
    connectTimeout: limits.connect * SECOND_LIMIT,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: 'native',
    // The default stores forget their maps when they are closed, and an acknowledgement that was read before
    // and is looked at after that ends in a TypeError that nobody can catch.
    incomingStore: new Store({ clean: false }),
    outgoingStore: new Store({ clean: false }),
    // MQTT.js would otherwise print packets, the password among them, when the environment asks for it.
    log: () => undefined,
    ...(plan.username === undefined ? {} : { username: plan.username }),
    ...(plan.password === undefined ? {} : { password: Buffer.from(plan.password.expose()) }),
    ...(version === 5
      ? {
          properties: {
            sessionExpiryInterval: limits.sessionExpirySeconds,
            receiveMaximum: Math.min(limits.inFlight, 0xffff),
            maximumPacketSize: limits.packetBytes,
          },
        }
      : {}),
  };
}

/** A frame holds at least one packet, and the library keeps it whole. */
const LARGEST_FRAME = 64 * 1024 * 1024;

export function overWebSocket(
  client: MqttClient,
  socket: Socket,
  url: BrokerUrl,
): ReturnType<typeof webSocketStream> {
  return webSocketStream(client, {
    protocol: url.scheme === 'wss' ? 'wss' : 'ws',
    hostname: url.host.includes(':') ? `[${url.host}]` : url.host,
    port: url.port,
    path: url.path,
    wsOptions: { createConnection: () => socket, perMessageDeflate: false, maxPayload: LARGEST_FRAME },
  });
}
