/** NATS with JetStream, which its MQTT needs. One server has MQTT either plain or over TLS, not both. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../loopback.ts';
import type { Broker, Kind } from './kind.ts';
import { find, server } from './server.ts';

export const NATS = find('nats-server', '/usr/sbin/nats-server', '/usr/local/bin/nats-server');
export const withoutNats = NATS === undefined ? 'nats-server is not installed' : undefined;

async function make(home: string, tls: boolean): Promise<Broker> {
  const [own, mqtt, webSocket] = await Promise.all([freePort(), freePort(), freePort()]);
  const kept = join(home, 'kept');
  const [cert, key] = [join(home, 'cert.pem'), join(home, 'key.pem')];
  const secured = `tls { cert_file: "${cert}", key_file: "${key}" }`;
  await mkdir(kept);
  await writeFile(
    join(home, 'nats.conf'),
    `
server_name: mesh
listen: "127.0.0.1:${own}"
jetstream { store_dir: "${kept}", max_mem: 64MB, max_file: 1GB }
mqtt { listen: "127.0.0.1:${mqtt}"${tls ? `, ${secured}` : ''} }
websocket { listen: "127.0.0.1:${webSocket}", ${tls ? secured : 'no_tls: true'} }
`,
  );
  const program = server({
    program: NATS ?? 'nats-server',
    args: ['-c', join(home, 'nats.conf')],
    ports: [mqtt, webSocket],
    log: join(home, 'log'),
  });
  return {
    urls: tls
      ? { mqtts: `mqtts://localhost:${mqtt}`, wss: `wss://localhost:${webSocket}/mqtt` }
      : { mqtt: `mqtt://127.0.0.1:${mqtt}`, ws: `ws://127.0.0.1:${webSocket}/mqtt` },
    async present(certificate) {
      await writeFile(key, certificate.key);
      await writeFile(cert, certificate.cert);
    },
    start: program.start,
    kill: () => program.end('SIGKILL'),
    async wipe() {
      await rm(kept, { recursive: true, force: true });
      await mkdir(kept);
    },
    stop: () => program.end('SIGKILL'),
  };
}

/**
 * It keeps queues on disk, and confirms before they are there: what it holds after a kill may lack some of what it had
 * confirmed. The senders have it still, so nothing is lost; but nobody can ask of it that it keeps all by itself.
 */
const nats = { missing: withoutNats, speaks: 4, keepsQueues: false } as const;

export const natsPlain: Kind = { ...nats, name: 'NATS', make: (home) => make(home, false) };
export const natsTls: Kind = { ...nats, name: 'NATS over TLS', make: (home) => make(home, true) };
