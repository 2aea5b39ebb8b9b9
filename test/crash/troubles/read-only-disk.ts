import { setTimeout as pause } from 'node:timers/promises';
import { type Trouble, untilItBites } from './trouble.ts';

/** After a power cut the disk comes back read-only, as after a fault; then somebody puts that right. */
export const readOnlyDisk: Trouble = async ({ member: { station, keeper }, chance }) => {
  const wanted = keeper.wanted;
  let kills = await keeper.rest();
  for (let tries = 0; ; tries++) {
    kills += await station.kill('command');
    try {
      await station.disk.makeReadOnly();
      break;
    } catch (error) {
      // The next command has begun already.
      if (tries === 50) throw error;
    }
  }
  const before = station.ends.length;
  if (wanted) keeper.start();
  await untilItBites(station, before);
  await pause(chance.below(500));
  await station.disk.mend(station.pids());
  return kills;
};
