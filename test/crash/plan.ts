/** What goes wrong in a round follows from the seed and the number of the round, and from nothing else. Pure. */
import { Seeded } from '../simulation/seeded.ts';

const WEIGHTS = {
  'kill-one': 5,
  'kill-all': 2,
  'kill-starts': 3,
  'kill-callers': 2,
  'full-disk': 4,
  'read-only-disk': 2,
  'clock-jump': 3,
  'broker-gone': 4,
} as const;

export type TroubleName = keyof typeof WEIGHTS;
export const TROUBLES = Object.keys(WEIGHTS) as TroubleName[];

export const DEVICES = 3;
/** A mesh lives for so many rounds. */
export const ROUNDS_PER_MESH = 8;

export interface PlannedTrouble {
  readonly name: TroubleName;
  /** The device that it happens to, where it happens to one: another one for each trouble of a round. */
  readonly device: number;
  /** When it begins. */
  readonly after: number;
  /** For what is left to chance within it. */
  readonly seed: number;
}

export interface RoundPlan {
  readonly troubles: readonly PlannedTrouble[];
  /** The last device has no daemon in this round: its scripts open the store themselves, as a cron job does. */
  readonly cron: boolean;
  /** For what the callers send. */
  readonly seed: number;
}

export function planRound(seed: number, round: number): RoundPlan {
  const chance = new Seeded(seed * 100_003 + round);
  const count = Number(chance.weighted({ 1: 4, 2: 4, 3: 3 }));
  const weights: Record<string, number> = { ...WEIGHTS };
  const firstDevice = chance.below(DEVICES);
  const troubles: PlannedTrouble[] = [];
  while (troubles.length < count) {
    const name = chance.weighted(weights) as TroubleName;
    delete weights[name];
    const device = (firstDevice + troubles.length) % DEVICES;
    troubles.push({ name, device, after: chance.below(500), seed: chance.word() });
  }
  return { troubles, cron: chance.chance(0.25), seed: chance.word() };
}

/** The round with which the mesh of this one began: from there on a failure can be repeated. */
export function firstOfMesh(round: number, first: number): number {
  return Math.max(first, round - ((round - 1) % ROUNDS_PER_MESH));
}
