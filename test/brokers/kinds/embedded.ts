/** The broker that the laptop's daemon runs besides. It keeps nothing on a disk, and goes with the daemon. */
import { freePort } from '../loopback.ts';
import type { Broker, Kind } from './kind.ts';

const nothing = (): Promise<void> => Promise.resolve();

export const embedded: Kind = {
  name: 'the embedded broker',
  missing: undefined,
  speaks: 4,
  keepsQueues: false,
  inside: (port) => ['--embedded-broker', `127.0.0.1:${port}`],
  async make(): Promise<Broker> {
    const urls = { mqtt: `mqtt://127.0.0.1:${await freePort()}` };
    return { urls, present: nothing, start: nothing, kill: nothing, wipe: nothing, stop: nothing };
  },
};
