/** A broker that keeps its sessions and queues on disk, and whose disk can be lost. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';

export interface ForgetfulBroker extends Mosquitto {
  /** What it has kept is gone. To be called while it does not run. */
  forget(): Promise<void>;
}

/** What it keeps lies in `dir`. */
export async function startBroker(dir: string): Promise<ForgetfulBroker> {
  const kept = join(dir, 'broker');
  await mkdir(kept);
  const broker = await startMosquitto({
    // Every change is written at once, so that a kill loses nothing that was acknowledged.
    extra: [
      'persistence true',
      `persistence_location ${kept}/`,
      'autosave_on_changes true',
      'autosave_interval 1',
    ],
  });
  return { ...broker, forget: () => rm(join(kept, 'mosquitto.db'), { force: true }) };
}
