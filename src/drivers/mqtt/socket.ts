/** Opens the way to a broker and makes sure whose it is before a single byte of MQTT, and so a password, goes out. */
import { createHash } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { BrokerUrl } from '../../entities/broker-url.ts';
import { equal } from '../../entities/bytes.ts';
import { MeshError } from '../../entities/errors.ts';
import { socketFailure } from './failures.ts';
import type { Plan } from './settings.ts';

/**
 * Resolves with a connected, checked and paused socket; rejects with a `MeshError`. `signal` ends the attempt
 * with its reason.
 */
export function openSocket(url: BrokerUrl, plan: Plan, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = url.tls ? openTls(url, plan) : connectTcp({ host: url.host, port: url.port });
    const settle = (): void => {
      signal.removeEventListener('abort', abandoned);
      socket.removeListener('close', closed);
      socket.removeListener('error', failed);
    };
    const failed = (cause: unknown): void => {
      settle();
      // What a socket still has to say after its end is of no interest, but must not go unheard.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(socketFailure(url.name, cause, false));
    };
    const closed = (): void => failed(undefined);
    const abandoned = (): void => failed(signal.reason);
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once(url.tls ? 'secureConnect' : 'connect', () => {
      if (url.tls && plan.pin !== undefined && !hasPin(socket as TLSSocket, plan.pin)) {
        failed(new MeshError('broker-pin-mismatch', { broker: url.name }));
        return;
      }
      settle();
      socket.setNoDelay(true);
      resolve(socket);
    });
    if (signal.aborted) abandoned();
    else signal.addEventListener('abort', abandoned, { once: true });
  });
}

function openTls(url: BrokerUrl, plan: Plan): TLSSocket {
  return connectTls({
    host: url.host,
    port: url.port,
    ...(isIP(url.host) === 0 ? { servername: url.host } : {}),
    ...(plan.ca === undefined ? {} : { ca: plan.ca }),
    rejectUnauthorized: plan.pin === undefined,
    minVersion: 'TLSv1.2',
  });
}

function hasPin(socket: TLSSocket, pin: Uint8Array): boolean {
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && equal(createHash('sha256').update(certificate.raw).digest(), pin);
}
