/** What the campaigns found worth keeping, through the same checks: what was mended once stays mended. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCorpus } from './corpus-files.ts';
import { judge } from './judge.ts';
import { allTargets } from './targets.ts';

const ROOT = join(import.meta.dirname, '../..');
const MOST_BYTES = 1_000_000;
const targets = allTargets(ROOT);

describe('the corpus', () => {
  it.each(targets)(
    'of $name does no harm',
    async (target) => {
      const files = readCorpus(ROOT, target.name);
      expect(files.length).toBeGreaterThan(0);
      for (const { name, input } of files) expect(await judge(target, input), name).toBeUndefined();
    },
    120_000,
  );

  it('is of a size that a repository can bear', () => {
    const sizes = targets.flatMap(({ name }) => readCorpus(ROOT, name).map(({ input }) => input.length));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MOST_BYTES);
  });
});
