/** That the fuzzer can find something, and what counts as something. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Seeded } from '../simulation/seeded.ts';
import { readTree, writeTree } from './cbor-tree.ts';
import { type Coverage, watch } from './coverage.ts';
import { fuzz, type Outcome } from './fuzz.ts';
import { instrument } from './instrument.mjs';
import { judge, judgeMemory, judgeRetention } from './judge.ts';
import { mutate } from './mutate.ts';
import { demand, type Target } from './target.ts';
import { bytesIn } from './targets/vectors.ts';

const ROOT = join(import.meta.dirname, '../..');
const PLANTED = 'planted.mjs';
const EXECUTIONS = 150_000;

const code = instrument(readFileSync(join(import.meta.dirname, PLANTED), 'utf8'), PLANTED);
const planted: { readonly decodeBatch: (bytes: Uint8Array) => unknown } = await import(
  /* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`
);

const target = (examine: Target['examine'], seeds: readonly Uint8Array[] = [new Uint8Array(1)]): Target => ({
  name: 'planted',
  watched: [PLANTED],
  form: { kind: 'bytes' },
  dictionary: [],
  longest: 64,
  seeds,
  examine,
});
const batches = target((input) => void planted.decodeBatch(input));

function hunt(guided: boolean, seed: number, most = EXECUTIONS): Promise<Outcome> {
  const coverage: Coverage = watch((path) => path === PLANTED);
  return fuzz(batches, coverage, { seed, guided, isOver: (executions) => executions >= most });
}

describe('the fuzzer', () => {
  it.each([1, 3])('finds the fault that is planted, led by what it touches (seed %d)', async (seed) => {
    const { findings } = await hunt(true, seed);
    expect(findings.map(({ kind }) => kind)).toEqual(['thrown']);
    expect(findings[0]?.detail).toContain('planted');
    // Nothing is left that is not needed for it: three records without bytes, the second of a kind that never has any.
    const kinds = [...(findings[0]?.input ?? [])];
    expect(kinds.slice(0, 5)).toEqual([0x4d, 0x45, 0x53, 0x48, 3]);
    expect(kinds).toHaveLength(5 + 3 * 2);
  });

  it.each([1, 3])('does not find it blindly with as many inputs (seed %d)', async (seed) => {
    const { findings, corpus } = await hunt(false, seed);
    expect(findings).toEqual([]);
    expect(corpus).toHaveLength(1);
  });

  it('does the same again with the same seed', async () => {
    const [one, two] = [await hunt(true, 1, 40_000), await hunt(true, 1, 40_000)];
    expect(one.findings.map(({ after, input }) => [after, input])).toEqual(
      two.findings.map(({ after, input }) => [after, input]),
    );
    expect(one.features).toBe(two.features);
    expect(one.corpus).toEqual(two.corpus);
  });
});

describe('what counts as a finding', () => {
  it('is anything thrown', async () => {
    const broken = target((input) => demand(input.length === 0, 'more than nothing'));
    expect(await judge(broken, new Uint8Array())).toBeUndefined();
    expect(await judge(broken, new Uint8Array(1))).toMatchObject({ kind: 'thrown' });
    const later = target(async () => Promise.reject(new TypeError('later')));
    expect((await judge(later, new Uint8Array()))?.detail).toContain('TypeError: later');
  });

  it('is a time that is too long three times, and not once', async () => {
    const busy = (milliseconds: number): void => {
      const spent = process.cpuUsage();
      for (let now = process.cpuUsage(spent); now.user + now.system < milliseconds * 1000; ) {
        now = process.cpuUsage(spent);
      }
    };
    let runs = 0;
    const once = target(() => busy(runs++ === 0 ? 250 : 0));
    expect(await judge(once, new Uint8Array())).toBeUndefined();
    expect(
      await judge(
        target(() => busy(250)),
        new Uint8Array(),
      ),
    ).toMatchObject({ kind: 'slow' });
    // Twice the size, twice the time.
    expect(
      await judge(
        target(() => busy(250)),
        new Uint8Array(65_537),
      ),
    ).toBeUndefined();
  });

  it('is much memory for a small input', async () => {
    const greedy = target(() => void new Uint8Array(2 ** 27));
    expect(await judgeMemory(greedy, new Uint8Array())).toMatchObject({ kind: 'memory' });
    expect(
      await judgeMemory(
        target(() => void new Uint8Array(2 ** 20)),
        new Uint8Array(),
      ),
    ).toBeUndefined();
  });

  it('is memory that is never given back', async () => {
    const kept: Uint8Array[] = [];
    const leaking = target(() => void kept.push(new Uint8Array(2 ** 20)));
    const inputs = [new Uint8Array(1), new Uint8Array(2)];
    expect(await judgeRetention(leaking, inputs)).toMatchObject({ kind: 'memory' });
    expect(
      await judgeRetention(
        target(() => void new Uint8Array(2 ** 20)),
        inputs,
      ),
    ).toBeUndefined();
  });
});

describe('a tree of CBOR', () => {
  const envelopes = bytesIn(ROOT, 'envelopes.json', 'bytes');

  it('is written as it was read, where it is sound', () => {
    const bodies = bytesIn(ROOT, 'parcels.json', 'bytes').filter(({ length }) => length < 400);
    const trees = bodies.flatMap((bytes) => {
      const tree = readTree(bytes);
      return tree === undefined ? [] : [[bytes, writeTree(tree)] as const];
    });
    expect(trees.filter(([bytes, again]) => Buffer.from(again).equals(bytes)).length).toBeGreaterThan(20);
  });

  it('mostly stays one when it is changed', () => {
    const random = new Seeded(1);
    const palette = { form: { kind: 'cbor', prefix: 1 }, dictionary: [], longest: 4096 } as const;
    const [parent = new Uint8Array(), donor = parent] = envelopes.filter(({ length }) => length > 60);
    const changed = Array.from({ length: 500 }, () => mutate(parent, donor, random, palette));
    const sound = changed.filter((bytes) => readTree(bytes.subarray(1)) !== undefined);
    expect(sound.length).toBeGreaterThan(100);
    expect(new Set(changed.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBeGreaterThan(300);
  });
});
