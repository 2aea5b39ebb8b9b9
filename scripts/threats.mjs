/**
 * `npm run threats -- REPORT.json…`: holds the table of attacks in docs/THREAT-MODEL.md against what vitest has
 * reported of all suites that ran (`--reporter=json`). Each row has to name at least one test, as
 * `file › describe › … › title`, and each test has to stand in that file and to have passed. Whatever is missing,
 * skipped, failed or elsewhere is named, and makes the whole thing red.
 */
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const SECTION = '## Attacks and what becomes of them';
const COLUMNS = ['attack', 'what happens', 'shown by'];
const BETWEEN = ' › ';

/** The rows of the table: each attack with the tests that it names. Throws where that is not the table we know. */
export function attacksIn(markdown) {
  const lines = markdown.split('\n');
  const at = lines.indexOf(SECTION);
  if (at < 0) throw new Error(`there is no section "${SECTION}"`);
  const [header, rule, ...rows] = tableFrom(lines.slice(at + 1));
  if (
    header === undefined ||
    COLUMNS.some((name, i) => header[i] !== name) ||
    header.length !== COLUMNS.length
  ) {
    throw new Error(`the table has to have the columns ${COLUMNS.join(', ')}`);
  }
  if (rule === undefined || rows.length === 0) throw new Error('the table has no rows');
  return rows.map((cells) => {
    if (cells.length !== COLUMNS.length)
      throw new Error(`a row of ${cells.length} cells: ${cells.join(' | ')}`);
    const [attack, behaviour, shownBy] = cells;
    return { attack, behaviour, tests: codeIn(shownBy).map(testNamed) };
  });
}

/** The first table, as cells. A `|` inside a cell is written `\|`. */
function tableFrom(lines) {
  const begin = lines.findIndex((line) => line.startsWith('|') || line.startsWith('## '));
  const rows = [];
  for (let i = begin; i >= 0 && lines[i]?.startsWith('|'); i++) {
    const cells = lines[i].trim().split(/(?<!\\)\|/);
    rows.push(cells.slice(1, -1).map((cell) => cell.replaceAll('\\|', '|').trim()));
  }
  return rows;
}

/** What stands in backticks; in as many of them as it takes where there are some inside. */
function codeIn(cell) {
  return [...cell.matchAll(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/g)].map(([, , code]) => code.trim());
}

function testNamed(text) {
  const [file = '', ...titles] = text.split(BETWEEN);
  return { file, title: titles.join(BETWEEN) };
}

/**
 * How each test ended, by title and then by file. A report may have a file more than once (once for each project),
 * and several reports may have it; a file that could not be loaded has no tests.
 */
export function outcomesOf(reports, root) {
  const outcomes = new Map();
  for (const { testResults } of reports) {
    if (!Array.isArray(testResults)) throw new Error('that is no report of vitest');
    const ofReport = new Map();
    for (const { name, assertionResults } of testResults) {
      const file = relative(root, name).split(sep).join('/');
      for (const { ancestorTitles, title, status } of assertionResults) {
        const key = JSON.stringify([[...ancestorTitles, title].join(BETWEEN), file]);
        ofReport.set(key, [...(ofReport.get(key) ?? []), status]);
      }
    }
    for (const [key, statuses] of ofReport) {
      const [title, file] = JSON.parse(key);
      const files = outcomes.get(title) ?? new Map();
      files.set(file, [...(files.get(file) ?? []), together(statuses)]);
      outcomes.set(title, files);
    }
  }
  return outcomes;
}

/** Tests of one name in one file and one run: all of them have to pass. */
function together(statuses) {
  if (statuses.includes('failed')) return 'failed';
  return statuses.every((status) => status === 'passed') ? 'passed' : 'skipped';
}

/** What is wrong, each a line; nothing where every attack has its passing tests. */
export function faultsOf(attacks, outcomes) {
  const faults = [];
  const names = attacks.map(({ attack }) => attack);
  for (const twice of new Set(names.filter((name, i) => names.indexOf(name) !== i))) {
    faults.push(`"${twice}" stands in the table twice`);
  }
  for (const { attack, behaviour, tests } of attacks) {
    if (attack === '') faults.push('a row without an attack');
    if (behaviour === '') faults.push(`"${attack}" does not say what happens`);
    if (tests.length === 0) faults.push(`"${attack}" names no test`);
    for (const test of tests) {
      const fault = faultOf(test, outcomes);
      if (fault !== undefined) faults.push(`"${attack}": ${test.file}${BETWEEN}${test.title}: ${fault}`);
    }
  }
  return faults;
}

function faultOf({ file, title }, outcomes) {
  if (title === '') return 'a file and no test';
  const files = outcomes.get(title);
  if (files === undefined) return 'in no report';
  const endings = files.get(file);
  if (endings === undefined) return `elsewhere: in ${[...files.keys()].join(', ')}`;
  if (endings.includes('failed')) return 'failed';
  // One run may leave out what another one is for.
  return endings.includes('passed') ? undefined : 'skipped';
}

function main(files) {
  if (files.length === 0) {
    console.error('usage: npm run threats -- REPORT.json… (made by vitest with --reporter=json)');
    return 1;
  }
  const root = fileURLToPath(new URL('..', import.meta.url));
  const attacks = attacksIn(readFileSync(join(root, 'docs', 'THREAT-MODEL.md'), 'utf8'));
  const reports = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  const faults = faultsOf(attacks, outcomesOf(reports, root));
  for (const fault of faults) console.error(fault);
  const tests = new Set(attacks.flatMap((row) => row.tests.map(({ file, title }) => file + BETWEEN + title)));
  const ending = faults.length === 0 ? 'all passed' : `${faults.length} at fault`;
  console.log(`${attacks.length} attacks, ${tests.size} tests, ${ending}`);
  return faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
