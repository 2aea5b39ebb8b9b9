import { setTimeout as pause } from 'node:timers/promises';
import type { Trouble } from './trouble.ts';

/** From the birth of the process to the first messages. */
const LONGEST_START = 500;

/** A device that loses its power again and again while it starts. */
export const killStarts: Trouble = async ({ member: { station, keeper }, chance }) => {
  let kills = 0;
  for (let left = 3 + chance.below(3); left > 0; left--) {
    const { starts } = keeper;
    kills += await station.kill('daemon');
    const deadline = performance.now() + LONGEST_START;
    while (keeper.starts === starts && performance.now() < deadline) await pause(5);
    await pause(chance.below(LONGEST_START));
  }
  return kills;
};
