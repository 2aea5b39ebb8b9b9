import { setTimeout as pause } from 'node:timers/promises';
import type { Trouble } from './trouble.ts';

const HOUR = 3_600_000;

/** A clock is set wrong by hours, now and then by weeks, and back; some programs have to start in between. */
export const clockJump: Trouble = async ({ member: { station }, chance }) => {
  let kills = 0;
  for (let left = 1 + chance.below(3); left > 0; left--) {
    const reach = chance.chance(0.2) ? 40 * 24 : 36;
    station.clock.set((chance.below(2 * reach * 60) - reach * 60) * (HOUR / 60));
    if (chance.chance(0.3)) kills += await station.kill('daemon');
    await pause(200 + chance.below(800));
  }
  // Not every clock is set right again.
  if (chance.chance(0.6)) station.clock.set(0);
  return kills;
};
