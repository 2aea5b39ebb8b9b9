/** Stands before a broker, refuses MQTT 5 in the words of MQTT 3.1.1 and hands everything else through. */
import { connect, createServer, type Socket } from 'node:net';

export interface Relay {
  readonly url: string;
  stop(): Promise<void>;
}

/** In a CONNECT whose length takes one or two bytes, behind the name of the protocol. */
const VERSION_AT = [8, 9];
const REFUSED = Uint8Array.of(0x20, 2, 0, 1);

export async function olderVersionOnly(port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const kept = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const listener = createServer((client) => {
    kept(client);
    client.once('data', (greeting) => {
      if (versionOf(greeting) === 5) {
        client.end(REFUSED);
        return;
      }
      const broker = kept(connect({ host: '127.0.0.1', port, noDelay: true }));
      broker.on('close', () => client.destroy());
      client.on('close', () => broker.destroy());
      broker.write(greeting);
      client.pipe(broker).pipe(client);
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('a port was asked for');
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        listener.close(() => resolve());
      }),
  };
}

function versionOf(greeting: Buffer): number | undefined {
  const longer = (greeting[1] ?? 0) >= 0x80 ? 1 : 0;
  return greeting[VERSION_AT[longer] ?? 0];
}
