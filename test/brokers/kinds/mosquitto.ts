/** Mosquitto as Debian sets it up, but that what changes is on its disk at once. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../loopback.ts';
import { PROGRAM, withoutMosquitto } from '../mosquitto.ts';
import type { Broker, Kind } from './kind.ts';
import { server } from './server.ts';
import { olderVersionOnly } from './version-relay.ts';

async function make(home: string, extra: readonly string[] = []): Promise<Broker> {
  const [mqtt, mqtts, ws, wss] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const kept = join(home, 'kept');
  const certificate = [`certfile ${join(home, 'cert.pem')}`, `keyfile ${join(home, 'key.pem')}`];
  await mkdir(kept);
  await writeFile(
    join(home, 'mosquitto.conf'),
    [
      `user ${userInfo().username}`,
      ...extra,
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${kept}/`,
      'autosave_on_changes true',
      'autosave_interval 1',
      `listener ${mqtt} 127.0.0.1`,
      `listener ${mqtts} 127.0.0.1`,
      ...certificate,
      `listener ${ws} 127.0.0.1`,
      'protocol websockets',
      `listener ${wss} 127.0.0.1`,
      'protocol websockets',
      ...certificate,
      '',
    ].join('\n'),
  );
  const program = server({
    program: PROGRAM ?? 'mosquitto',
    args: ['-c', join(home, 'mosquitto.conf')],
    ports: [mqtt, mqtts, ws, wss],
    log: join(home, 'log'),
  });
  return {
    urls: {
      mqtt: `mqtt://127.0.0.1:${mqtt}`,
      mqtts: `mqtts://localhost:${mqtts}`,
      ws: `ws://127.0.0.1:${ws}`,
      wss: `wss://localhost:${wss}`,
    },
    async present({ key, cert }) {
      await writeFile(join(home, 'key.pem'), key);
      await writeFile(join(home, 'cert.pem'), cert);
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

const missing = PROGRAM === undefined ? withoutMosquitto : undefined;

export const mosquitto5: Kind = {
  name: 'Mosquitto with MQTT 5',
  missing,
  speaks: 5,
  keepsQueues: true,
  make: (home) => make(home),
};

/** Without this Mosquitto holds a small packet back until the last one is acknowledged by the other end's kernel. */
export const mosquittoNoDelay: Kind = {
  ...mosquitto5,
  name: 'Mosquitto with set_tcp_nodelay',
  make: (home) => make(home, ['set_tcp_nodelay true']),
};

/** Mosquitto cannot be told to refuse MQTT 5, so what stands before it does. */
export const mosquitto311: Kind = {
  name: 'Mosquitto with MQTT 3.1.1',
  missing,
  speaks: 4,
  keepsQueues: true,
  async make(home) {
    const broker = await make(home);
    const relay = await olderVersionOnly(Number(new URL(broker.urls.mqtt ?? '').port));
    return {
      ...broker,
      urls: { mqtt: relay.url },
      async stop() {
        await relay.stop();
        await broker.stop();
      },
    };
  },
};
