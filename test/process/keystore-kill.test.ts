/**
 * Processes that are killed in the middle of committing. Each store goes through many of them; every next one
 * has to find all of a commit or nothing of it, and never less than what the one before was told is safe.
 */
import { execFile, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeKeyFile } from '../../src/drivers/node/unlock.ts';
import { realRandomness } from '../randomness.ts';
import { temporaryDirectory } from '../support/home.ts';

/** Eight make 208 kills, as `.ci/run` asks for; two do for every day. */
const STORES = Number(process.env.KEYSTORE_STORES ?? 2);
const KILLS_PER_STORE = 26;
const LONGEST_LIFE = 120;
/** Node's own beginning included, which is most of it. */
const LONGEST_START = 250;
const child = join(import.meta.dirname, 'keystore-child.mjs');

let base: string;
let keyFile: string;
beforeAll(async () => {
  base = await temporaryDirectory();
  keyFile = join(base, 'key');
  await makeKeyFile(keyFile, realRandomness);
  const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-b', 'src/drivers'], {
    cwd: join(import.meta.dirname, '../..'),
  });
}, 120_000);
afterAll(() => rm(base, { recursive: true, force: true }));

interface Life {
  readonly lines: readonly string[];
  readonly killed: boolean;
  readonly complaint: string;
}

/** Lets a process live for so long, or to its own end. */
function live(
  home: string,
  mode: 'create' | 'open',
  seed: number,
  milliseconds: number | undefined,
  from: 'start' | 'open' = 'start',
): Promise<Life> {
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, [child, home, keyFile, mode, String(seed)]);
    let output = '';
    let complaint = '';
    let timer: NodeJS.Timeout | undefined;
    const die = () => {
      if (milliseconds !== undefined) timer ??= setTimeout(() => running.kill('SIGKILL'), milliseconds);
    };
    running.stdout.on('data', (data: Buffer) => {
      if (from === 'open') die();
      output += data.toString();
    });
    running.stderr.on('data', (data: Buffer) => {
      complaint += data.toString();
    });
    if (from === 'start') die();
    running.on('error', reject);
    running.on('close', (_, signal) => {
      clearTimeout(timer);
      // A line that was cut off by the kill was still said after the commit was safe, but does not count.
      resolve({ lines: output.split('\n').slice(0, -1), killed: signal === 'SIGKILL', complaint });
    });
  });
}

async function hurriedLives(store: number): Promise<{ kills: number; midway: number; commits: number }> {
  const home = join(base, `store-${store}`);
  const seed = store + 1;
  let journal = 0;
  let kills = 0;
  let midway = 0;
  const learn = ({ lines, complaint }: Life): void => {
    const context = `store ${store}, life ${kills}: ${complaint}`;
    expect(complaint, context).toBe('');
    const [opened, ...rest] = lines;
    if (opened === undefined) return;
    const [, count, state] = opened.split(' ');
    expect(state, context).toBe('whole');
    expect(Number(count), context).toBeGreaterThanOrEqual(journal);
    const confirmed = rest.filter((line) => line.startsWith('ok ')).map((line) => Number(line.slice(3)));
    journal = Math.max(journal, Number(count), ...confirmed);
    if (confirmed.length > 0) midway++;
  };
  // A store has to exist before its processes can be killed: the making has its own test.
  const first = await live(home, 'create', seed, undefined);
  expect(first.lines.at(-1), first.complaint).toBe('closed');
  learn(first);
  midway = 0;
  while (kills < KILLS_PER_STORE) {
    // Every fifth dies at any time from its start on, so that openings are hit as well.
    const life = await (kills % 5 === 4
      ? live(home, 'open', seed, Math.random() * LONGEST_START)
      : live(home, 'open', seed, Math.random() * LONGEST_LIFE, 'open'));
    if (life.killed) kills++;
    learn(life);
  }
  const last = await live(home, 'open', seed, undefined);
  learn(last);
  expect(last.lines.at(-1)).toBe('closed');
  return { kills, midway, commits: journal };
}

test(`nothing confirmed is missing and nothing is half done after ${STORES * KILLS_PER_STORE} kills`, async () => {
  let kills = 0;
  let midway = 0;
  let next = 0;
  const worker = async () => {
    while (next < STORES) {
      const result = await hurriedLives(next++);
      kills += result.kills;
      midway += result.midway;
      expect(result.commits).toBeGreaterThan(2000);
    }
  };
  await Promise.all([worker(), worker()]);
  expect(kills).toBe(STORES * KILLS_PER_STORE);
  // Kills that come before the first commit prove little; most have to come after.
  expect(midway).toBeGreaterThan(kills / 2);
});

test('a making that is killed leaves a store, or a place to make one', async () => {
  for (let round = 0; round < 12; round++) {
    const home = join(base, `made-${round}`);
    await live(home, 'create', 1, 60 + round * 10);
    const again = await live(home, 'open', 1, undefined);
    if (again.lines.at(-1) !== 'closed') {
      expect(again.complaint).toContain('store-not-initialised');
      const made = await live(home, 'create', 1, undefined);
      expect(made.lines.at(-1), made.complaint).toBe('closed');
    }
  }
});
