/** What the program asks a person at a terminal, and what it does where there is nobody to ask. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/home.ts';
import { compile, mesh } from './mesh-process.ts';
import { CONTROL_C, ENTER, onTerminal, type TerminalProcess } from './pty.ts';

const SECRET = 'correct horse battery staple';

let base: string;
let running: TerminalProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  for (const one of running) await one.stop();
  running = [];
  await rm(base, { recursive: true, force: true });
});

const at = (name: string): string => join(base, name);
const run = (...args: readonly string[]): TerminalProcess => {
  const one = onTerminal([...args, '--home', at('home')], { env: { XDG_CONFIG_HOME: at('config') } });
  running.push(one);
  return one;
};
const made = (): Promise<string[]> => readdir(base, { recursive: true });

async function initialise(): Promise<void> {
  const init = run('init', '--name', 'laptop');
  await init.shows('passphrase (empty for a key file): ');
  init.type(SECRET + ENTER);
  await init.shows('the same again: ');
  init.type(SECRET + ENTER);
  const ended = await init.ended();
  expect([ended.status, ended.screen]).toEqual([0, expect.stringContaining('laptop is ready')]);
  expect(init.raw).not.toContain(SECRET.slice(0, 7));
}

test('a passphrase is asked for twice and never shown, and opens the store from then on', async () => {
  await initialise();
  const status = run('status');
  await status.shows('passphrase: ');
  status.type(SECRET + ENTER);
  const ended = await status.ended();
  expect(ended.status).toBe(0);
  expect(ended.screen).toContain('laptop');
  expect(status.raw).not.toContain(SECRET.slice(0, 7));
});

test('a wrong passphrase is told of, without showing it either', async () => {
  await initialise();
  const status = run('status');
  await status.shows('passphrase: ');
  status.type(`wrong ${SECRET}${ENTER}`);
  expect((await status.ended()).status).toBe(3);
  expect(status.screen).toContain('does not open the store');
  expect(status.raw).not.toContain(SECRET.slice(0, 7));
});

test('an empty passphrase means a key file, and a person is told where it is', async () => {
  const init = run('init', '--name', 'laptop');
  await init.shows('passphrase (empty for a key file): ');
  init.type(ENTER);
  expect((await init.ended()).status).toBe(0);
  expect(init.screen.replaceAll('\n', '')).toContain(`made the key file ${at('config')}`);
});

test('two passphrases that differ make nothing', async () => {
  const init = run('init', '--name', 'laptop');
  await init.shows('passphrase (empty for a key file): ');
  init.type(SECRET + ENTER);
  await init.shows('the same again: ');
  init.type(`${SECRET}r${ENTER}`);
  expect((await init.ended()).status).toBe(2);
  expect(await made()).toEqual([]);
});

test.each(['passphrase (empty for a key file): ', 'the same again: '])(
  'control-C at "%s" ends it, and nothing is half made',
  async (prompt) => {
    const init = run('init', '--name', 'laptop');
    await init.shows('passphrase (empty for a key file): ');
    if (prompt.startsWith('the same')) {
      init.type(SECRET + ENTER);
      await init.shows(prompt);
    }
    init.type(CONTROL_C);
    const ended = await init.ended();
    expect(ended.status).not.toBe(0);
    expect(ended.screen).toContain('no answer was given');
    expect(await made()).toEqual([]);
  },
);

test('without a terminal nobody is asked: what is missing is a mistake at once', async () => {
  await initialise();
  const home = ['--home', at('home'), '--json'];
  const status = await mesh(['status', ...home], { env: { XDG_CONFIG_HOME: at('config') } });
  expect([status.status, status.events.at(-1)?.code]).toEqual([3, 'store-no-secret']);
  const add = await mesh(['key', 'add', 'passphrase', ...home]);
  expect([add.status, add.events.at(-1)?.code]).toEqual([2, 'usage']);
  const unnamed = await mesh(['init', '--home', at('other'), '--json']);
  expect([unnamed.status, unnamed.events.at(-1)?.code]).toEqual([2, 'name-missing']);
  expect(existsSync(at('other'))).toBe(false);
});
