import { setTimeout as pause } from 'node:timers/promises';
import { type Trouble, untilItBites } from './trouble.ts';

/** Somebody else fills the disk. Whoever works there has to end or refuse, with the right code. */
export const fullDisk: Trouble = async ({ member: { station }, chance }) => {
  const left = chance.chance(0.3) ? 0 : chance.below(200 * 1024);
  const before = station.ends.length;
  await station.disk.fill(left, station.pids());
  await untilItBites(station, before);
  await pause(chance.below(800));
  await station.disk.mend(station.pids());
  return 0;
};
