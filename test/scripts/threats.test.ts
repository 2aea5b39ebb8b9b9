/** The check of the table of attacks, on small tables and reports that were made up, and the real table as text. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attacksIn, faultsOf, outcomesOf } from '../../scripts/threats.mjs';

const root = join(import.meta.dirname, '../..');

const table = (...rows: readonly string[]): string =>
  [
    '# Threats',
    '| another | table |',
    '| --- | --- |',
    '## Attacks and what becomes of them',
    '',
    'What follows is a table.',
    '',
    '| attack | what happens | shown by |',
    '| --- | --- | --- |',
    ...rows,
    '',
    '## Out of scope',
    '| not | a | row |',
  ].join('\n');

const ROW =
  '| a forged packet | is dropped | `test/a.test.ts › packets › are dropped`, `test/b.test.ts › alone` |';

type Test = readonly [path: readonly string[], status: string];

const passes = (...path: readonly string[]): Test => [path, 'passed'];

function report(files: Readonly<Record<string, readonly Test[]>>): object {
  return {
    testResults: Object.entries(files).map(([file, tests]) => ({
      name: `/somewhere/${file.split('#')[0]}`,
      assertionResults: tests.map(([path, status]) => ({
        ancestorTitles: path.slice(0, -1),
        title: path.at(-1),
        status,
      })),
    })),
  };
}

const A = 'test/a.test.ts';
const B = 'test/b.test.ts';
const GOOD = report({ [A]: [passes('packets', 'are dropped')], [B]: [passes('alone')] });

const faults = (markdown: string, ...reports: readonly object[]): readonly string[] =>
  faultsOf(attacksIn(markdown), outcomesOf(reports, '/somewhere'));

describe('a row of the table', () => {
  it('is fine where each of its tests passed, in whichever report', () => {
    expect(faults(table(ROW), GOOD)).toEqual([]);
    const apart = [report({ [A]: [passes('packets', 'are dropped')] }), report({ [B]: [passes('alone')] })];
    expect(faults(table(ROW), ...apart)).toEqual([]);
  });

  it('is red where it names no test, or a file alone', () => {
    expect(faults(table('| spam | is ignored | `test/a.test.ts` and prose |'), GOOD)).toEqual([
      '"spam": test/a.test.ts › : a file and no test',
    ]);
    expect(faults(table('| spam | is ignored | the tests |'), GOOD)).toEqual(['"spam" names no test']);
  });

  it('is red where its test is in no report, be it that the file could not be loaded', () => {
    const missing = '"a forged packet": test/b.test.ts › alone: in no report';
    expect(faults(table(ROW), report({ [A]: [passes('packets', 'are dropped')] }))).toEqual([missing]);
    expect(faults(table(ROW), report({ [A]: [passes('packets', 'are dropped')], [B]: [] }))).toEqual([
      missing,
    ]);
    expect(faults(table(ROW))).toHaveLength(2);
  });

  it('is red where its test stands in another file, or below other titles', () => {
    const moved = report({ [A]: [passes('packets', 'are dropped'), passes('alone')] });
    expect(faults(table(ROW), moved)).toEqual([
      '"a forged packet": test/b.test.ts › alone: elsewhere: in test/a.test.ts',
    ]);
    const nested = report({ [A]: [passes('are dropped')], [B]: [passes('packets', 'alone')] });
    expect(faults(table(ROW), nested)).toHaveLength(2);
  });

  it.each(['skipped', 'pending', 'todo', 'disabled'])('is red where its test was %s', (status) => {
    const skipped = report({ [A]: [passes('packets', 'are dropped')], [B]: [[['alone'], status]] });
    expect(faults(table(ROW), skipped)).toEqual(['"a forged packet": test/b.test.ts › alone: skipped']);
  });

  it('is red where its test failed, though it passed in another run', () => {
    const failed = report({ [B]: [[['alone'], 'failed']] });
    const fault = ['"a forged packet": test/b.test.ts › alone: failed'];
    expect(faults(table(ROW), GOOD, failed)).toEqual(fault);
    expect(faults(table(ROW), failed, GOOD)).toEqual(fault);
  });

  it('is fine where one run left its test out and another did not', () => {
    expect(faults(table(ROW), report({ [B]: [[['alone'], 'skipped']] }), GOOD)).toEqual([]);
  });

  it('is red where one of two tests of the same name was skipped, in a file that is there once per project', () => {
    const both = [passes('alone'), [['alone'], 'skipped']] as const;
    const fault = ['"a forged packet": test/b.test.ts › alone: skipped'];
    expect(faults(table(ROW), report({ [A]: [passes('packets', 'are dropped')], [B]: both }))).toEqual(fault);
    const projects = report({
      [A]: [passes('packets', 'are dropped')],
      [B]: [both[0]],
      [`${B}#2`]: [both[1]],
    });
    expect(faults(table(ROW), projects)).toEqual(fault);
  });

  it('is red where it stands there twice, or does not say what happens', () => {
    expect(faults(table(ROW, ROW), GOOD)).toEqual(['"a forged packet" stands in the table twice']);
    expect(faults(table('| | is dropped | `test/b.test.ts › alone` |'), GOOD)).toEqual([
      'a row without an attack',
    ]);
    expect(faults(table('| spam | | `test/b.test.ts › alone` |'), GOOD)).toEqual([
      '"spam" does not say what happens',
    ]);
  });
});

describe('the table', () => {
  it('is read cell by cell, with bars and backticks inside', () => {
    const row = '| a \\| b | both | ``test/a.test.ts › says `c` \\| d``; `test/b.test.ts › alone` |';
    expect(attacksIn(table(row))).toEqual([
      {
        attack: 'a | b',
        behaviour: 'both',
        tests: [
          { file: A, title: 'says `c` | d' },
          { file: B, title: 'alone' },
        ],
      },
    ]);
  });

  it('is an error where it is not there, has other columns, no rows, or a row of another length', () => {
    expect(() => attacksIn('# Threats')).toThrow('no section');
    expect(() => attacksIn(table(ROW).replace('| shown by |', '|'))).toThrow('columns');
    expect(() => attacksIn(table(ROW).replace('shown by', 'tests'))).toThrow('columns');
    expect(() => attacksIn(table())).toThrow('no rows');
    expect(() => attacksIn(table('| spam | ignored |'))).toThrow('a row of 2 cells');
    expect(() => attacksIn('## Attacks and what becomes of them\n\n## Out of scope\n| a | b |')).toThrow(
      'columns',
    );
  });

  it('of this project names a test for each attack, in files that there are', () => {
    const attacks = attacksIn(readFileSync(join(root, 'docs/THREAT-MODEL.md'), 'utf8'));
    const all = new Map<string, ReadonlyMap<string, readonly string[]>>();
    for (const { file, title } of attacks.flatMap(({ tests }) => tests)) {
      expect(existsSync(join(root, file)), file).toBe(true);
      all.set(title, new Map([...(all.get(title) ?? []), [file, ['passed']]]));
    }
    expect(faultsOf(attacks, all)).toEqual([]);
  });
});

it('a report that is none is an error', () => {
  expect(() => outcomesOf([{ tests: [] }], '/somewhere')).toThrow('no report');
});
