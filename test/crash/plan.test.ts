import { expect, test } from 'vitest';
import { DEVICES, firstOfMesh, planRound, ROUNDS_PER_MESH, TROUBLES } from './plan.ts';

const plans = (seed: number) => Array.from({ length: 200 }, (_, i) => planRound(seed, i + 1));

test('a round follows from seed and number, whatever round came first', () => {
  expect(planRound(7, 30)).toEqual(plans(7)[29]);
  expect(plans(7)).toEqual(plans(7));
  expect(plans(7)).not.toEqual(plans(8));
});

test('two hundred rounds have every trouble, alone and beside others, with and without all daemons', () => {
  const all = plans(1);
  const names = all.flatMap(({ troubles }) => troubles.map(({ name }) => name));
  for (const name of TROUBLES) expect(names.filter((one) => one === name).length).toBeGreaterThan(20);
  expect(new Set(all.map(({ troubles }) => troubles.length))).toEqual(new Set([1, 2, 3]));
  expect(new Set(all.map(({ cron }) => cron))).toEqual(new Set([true, false]));
});

test('no two troubles of a round are the same or meet at one device', () => {
  for (const { troubles } of plans(1)) {
    expect(new Set(troubles.map(({ name }) => name)).size).toBe(troubles.length);
    const devices = troubles.map(({ device }) => device);
    expect(new Set(devices).size).toBe(troubles.length);
    expect(Math.max(...devices)).toBeLessThan(DEVICES);
  }
});

test('a failure is repeated from the round in which its mesh was made', () => {
  expect(firstOfMesh(1, 1)).toBe(1);
  expect(firstOfMesh(ROUNDS_PER_MESH, 1)).toBe(1);
  expect(firstOfMesh(ROUNDS_PER_MESH + 1, 1)).toBe(ROUNDS_PER_MESH + 1);
  expect(firstOfMesh(2 * ROUNDS_PER_MESH, ROUNDS_PER_MESH + 3)).toBe(ROUNDS_PER_MESH + 3);
});
