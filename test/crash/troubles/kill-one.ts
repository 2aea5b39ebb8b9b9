import { setTimeout as pause } from 'node:timers/promises';
import type { Trouble } from './trouble.ts';

/** The power of one device fails, once or a few times, at any moment of its work. */
export const killOne: Trouble = async ({ member, chance }) => {
  let kills = 0;
  for (let left = 1 + chance.below(3); left > 0; left--) {
    kills += await member.station.kill('daemon');
    await pause(chance.below(800));
  }
  return kills;
};
