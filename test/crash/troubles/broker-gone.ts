import { setTimeout as pause } from 'node:timers/promises';
import type { Trouble } from './trouble.ts';

/** The broker's power fails, for a while, and it may have forgotten everybody. */
export const brokerGone: Trouble = async ({ mesh: { broker }, chance }) => {
  await broker.kill();
  if (chance.chance(0.5)) await broker.forget();
  await pause(300 + chance.below(2000));
  await broker.restart();
  return 1;
};
