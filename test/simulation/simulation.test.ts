import { describe, expect, it } from 'vitest';
import { simulate } from './world.ts';

describe('a mesh whose broker is Mallory', () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`keeps its promises through crashes, restored backups and whatever she does (seed ${seed})`, async () => {
      const outcome = await simulate({ seed, devices: 4, steps: 120 });
      expect(outcome.problem).toBeUndefined();
      expect(outcome.accepted).toBeGreaterThan(0);
      expect(outcome.delivered).toBeGreaterThan(0);
    });
  }

  it('does the same again from the same seed, and something else from another', async () => {
    const first = await simulate({ seed: 11, devices: 3, steps: 60 });
    const again = await simulate({ seed: 11, devices: 3, steps: 60 });
    const other = await simulate({ seed: 12, devices: 3, steps: 60 });
    expect(again).toEqual(first);
    expect(other.trace).not.toBe(first.trace);
  });
});
