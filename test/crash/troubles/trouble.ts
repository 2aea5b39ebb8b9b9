import { setTimeout as pause } from 'node:timers/promises';
import type { Seeded } from '../../simulation/seeded.ts';
import type { Member, Mesh } from '../mesh.ts';
import type { Station } from '../station.ts';

export interface Scene {
  readonly mesh: Mesh;
  /** The one that it happens to, where it happens to one. */
  readonly member: Member;
  readonly chance: Seeded;
}

/** Resolves when it is over and everything works again. Returns how many processes it has killed. */
export type Trouble = (scene: Scene) => Promise<number>;

const LONGEST_WAIT = 3000;

/** Until something has ended over it: a trouble that nobody meets shows nothing. Not every one is met. */
export async function untilItBites({ ends }: Station, since: number): Promise<void> {
  const deadline = performance.now() + LONGEST_WAIT;
  while (ends.length <= since && performance.now() < deadline) await pause(20);
}
