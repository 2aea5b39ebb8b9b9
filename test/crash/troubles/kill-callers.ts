import { setTimeout as pause } from 'node:timers/promises';
import type { Trouble } from './trouble.ts';

/** Commands are killed in the middle of their work, which may be anything where they have the store themselves. */
export const killCallers: Trouble = async ({ mesh, chance }) => {
  let kills = 0;
  for (let left = 3 + chance.below(5); left > 0; left--) {
    kills += await chance.pick(mesh.members).station.kill('command');
    await pause(chance.below(350));
  }
  return kills;
};
