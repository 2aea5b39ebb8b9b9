/**
 * RabbitMQ with its plugins for MQTT, in directories, under a name and at ports of its own, so that it meets
 * nothing of one that runs on this machine anyway. Erlang's port mapper, which it needs, is of its own too.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../loopback.ts';
import type { Broker, Kind } from './kind.ts';
import { find, server } from './server.ts';

/** Not the one in the path, which on Debian becomes the user of the package and writes to its directories. */
const RABBITMQ = ['/usr/lib/rabbitmq/bin/rabbitmq-server', '/opt/rabbitmq/sbin/rabbitmq-server'].find(
  (file) => existsSync(file),
);
const EPMD = find('epmd', '/usr/bin/epmd');

async function make(home: string): Promise<Broker> {
  const ports = await Promise.all(Array.from({ length: 7 }, freePort));
  const [mqtt = 0, mqtts = 0, ws = 0, wss = 0, node = 0, distribution = 0, mapper = 0] = ports;
  const kept = join(home, 'kept');
  const [cert, key] = [join(home, 'cert.pem'), join(home, 'key.pem')];
  await mkdir(kept);
  await writeFile(join(home, 'enabled_plugins'), '[rabbitmq_mqtt,rabbitmq_web_mqtt].\n');
  await writeFile(
    join(home, 'rabbitmq.conf'),
    `
listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:${mqtt}
mqtt.listeners.ssl.1 = 127.0.0.1:${mqtts}
mqtt.allow_anonymous = true
mqtt.default_user = guest
mqtt.default_pass = guest
web_mqtt.tcp.ip = 127.0.0.1
web_mqtt.tcp.port = ${ws}
web_mqtt.ssl.ip = 127.0.0.1
web_mqtt.ssl.port = ${wss}
web_mqtt.ssl.certfile = ${cert}
web_mqtt.ssl.keyfile = ${key}
ssl_options.certfile = ${cert}
ssl_options.keyfile = ${key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
`,
  );
  const mapperServer = server({
    program: EPMD ?? 'epmd',
    args: ['-address', '127.0.0.1', '-port', String(mapper)],
    ports: [mapper],
    log: join(home, 'epmd.log'),
  });
  const program = server({
    program: RABBITMQ ?? 'rabbitmq-server',
    args: [],
    env: {
      HOME: home,
      ERL_EPMD_PORT: String(mapper),
      RABBITMQ_NODENAME: `mesh-${mqtt}@localhost`,
      RABBITMQ_NODE_PORT: String(node),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: kept,
      RABBITMQ_LOG_BASE: join(home, 'logs'),
      RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(home, 'advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'enabled_plugins'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      // The script then becomes the broker, so that the process id is the broker's.
      RABBITMQ_ALLOW_INPUT: '1',
      RABBITMQ_SERVER_START_ARGS: '-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}',
    },
    ports: [mqtt, mqtts, ws, wss],
    log: join(home, 'log'),
  });
  return {
    urls: {
      mqtt: `mqtt://127.0.0.1:${mqtt}`,
      mqtts: `mqtts://localhost:${mqtts}`,
      ws: `ws://127.0.0.1:${ws}/ws`,
      wss: `wss://localhost:${wss}/ws`,
    },
    async present(certificate) {
      await writeFile(key, certificate.key);
      await writeFile(cert, certificate.cert);
    },
    async start() {
      if (mapperServer.pid === undefined) await mapperServer.start();
      await program.start();
    },
    kill: () => program.end('SIGKILL'),
    async wipe() {
      await rm(kept, { recursive: true, force: true });
      await mkdir(kept);
    },
    async stop() {
      await program.end('SIGKILL');
      await mapperServer.end('SIGKILL');
    },
  };
}

const installed = RABBITMQ !== undefined && EPMD !== undefined;

export const rabbitmq: Kind = {
  name: 'RabbitMQ',
  missing: installed ? undefined : 'rabbitmq-server is not installed',
  speaks: 4,
  keepsQueues: true,
  make,
};
