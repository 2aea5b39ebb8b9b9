/** `npm start`, on a machine that has nothing but the program: with a person at the terminal, and without one. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKeystore } from '../../src/drivers/node/open-keystore.ts';
import { makeKeyFile } from '../../src/drivers/node/unlock.ts';
import { eventually, freePort, realRandomness } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { as, compile, type Ended, type Event, MeshProcess, mesh } from './mesh-process.ts';
import { joining, type Place, place } from './pairing-cast.ts';
import { CONTROL_C, CONTROL_D, ENTER, onTerminal, type TerminalProcess } from './pty.ts';

/** A stop is promised within two seconds; the rest is for starting processes on a busy machine. */
const STOP = 2500;
/** Where the person types the code of the newcomer. */
const PROMPT = 'type the code that it shows (Ctrl-C';

let base: string;
let port: number;
let running: { stop(): Promise<unknown> }[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  port = await freePort();
});
afterEach(async () => {
  for (const one of running.reverse()) await one.stop();
  running = [];
  await rm(base, { recursive: true, force: true });
});

const home = (): string => join(base, 'data', 'trusted-mesh');
const env = () => ({ XDG_DATA_HOME: join(base, 'data'), XDG_CONFIG_HOME: join(base, 'config') });
const words = (...more: string[]): string[] => ['start', '--local', '--port', String(port), ...more];
/** A command of the device that was made, found as a person's own would find it. */
const own = (...args: string[]): Promise<Ended> => mesh([...args, '--json'], { env: env() });
const codeOf = ({ status, events }: Ended): unknown[] => [status, events.at(-1)?.code];

function start(...args: string[]): MeshProcess {
  const process = new MeshProcess(args, { env: env() });
  running.push(process);
  return process;
}

function sit(...more: string[]): TerminalProcess {
  const terminal = onTerminal(words(...more), { env: env() });
  running.push(terminal);
  return terminal;
}

function newcomer(link: string): [MeshProcess, Place] {
  const phone = place(base, 'phone');
  const process = joining(phone, link, '--name', 'phone');
  running.push(process);
  return [process, phone];
}

/** The link of the newest invite on the screen. */
async function linkOn(terminal: TerminalProcess, which = 1): Promise<string> {
  const links = (): string[] => terminal.screen.match(/mesh:\/\/join#[\w-]+(?:\n[\w-]+)*(?=\n\n)/g) ?? [];
  await eventually(() => links().length >= which, `invite ${which} is on the screen`, 20_000);
  return links()[which - 1] ?? '';
}

/** By itself and in good order: no signal may have done it. */
interface Ending {
  ended(): Promise<{ readonly status: number | null; readonly signal?: number }>;
}

async function endsSoon(process: Ending, end: () => void): Promise<void> {
  const began = performance.now();
  end();
  const { status, signal = 0 } = await process.ended();
  expect([status, signal, performance.now() - began < STOP]).toEqual([0, 0, true]);
}

const terminate = (process: MeshProcess, signal: NodeJS.Signals = 'SIGTERM') =>
  endsSoon(process, () => process.child.kill(signal));

const statusOf = (events: readonly Event[]): unknown[] => events.map(({ event }) => event);

describe('without a terminal', () => {
  it('makes the device, says where, invites, and the code comes through "approve"', async () => {
    const first = start(...words('--json'));
    const made = await first.saw('initialised');
    const key = await readdir(join(base, 'config', 'trusted-mesh'));
    expect(made).toMatchObject({ home: home(), keyFile: join(base, 'config', 'trusted-mesh', key[0] ?? '') });
    expect(made.name).toBe((hostname().split('.')[0] ?? '').replace(/^$/, 'device'));
    const ready = await first.saw('ready');
    expect(ready).toMatchObject({ broker: `mqtt://127.0.0.1:${port}`, members: 1 });
    const { link } = await first.saw('invite');
    await eventually(() => first.stderr.includes('mesh approve --code'), 'it says how it goes on');
    const [joining] = newcomer(String(link));
    const { code } = await joining.saw('code');
    await first.saw('claimed');
    expect((await own('approve', '--code', String(code))).status).toBe(0);
    const joined = await joining.ended();
    expect([joined.status, joined.events.at(-1)?.members]).toEqual([0, 2]);
    await first.saw('joined');
    await terminate(first);

    // In company there is no invite, and nothing is made a second time.
    const second = start(...words());
    await eventually(() => second.stdout.includes('2 in the mesh'), 'it is up again');
    await own('status');
    expect(second.stdout).toContain('"mesh invite" in another terminal');
    expect(second.stdout).not.toContain('mesh://join');
    expect((await own('requests')).events).toEqual([]);
    expect((await own('invite', '--cancel')).events.at(-1)).toMatchObject({ code: 'no-invite' });
    await terminate(second, 'SIGINT');
  });

  it('an invite that ended is told of, with what to do, and no other one is made', async () => {
    const first = start(...words('--json'));
    await first.saw('invite');
    expect((await own('invite', '--cancel')).status).toBe(0);
    expect(await first.saw('invite-ended')).toMatchObject({ code: 'invite-cancelled' });
    expect(first.stderr).toContain('make a new one with "mesh invite"');
    expect((await own('invite', '--cancel')).events.at(-1)).toMatchObject({ code: 'no-invite' });
    await terminate(first);
    expect(statusOf(first.events).filter((event) => event === 'invite')).toHaveLength(1);
  });

  it('an invite does not outlive it', async () => {
    const first = start(...words('--json'));
    const { link } = await first.saw('invite');
    await terminate(first);
    const again = start('up', '--json', '--embedded-broker', `127.0.0.1:${port}`);
    await again.saw('connected');
    const [joining] = newcomer(String(link));
    expect(codeOf(await joining.ended())).toEqual([7, 'invite-cancelled']);
  });

  it('where a broker is set it uses that one, and says a word only to those who asked for its own', async () => {
    const elsewhere = `mqtt://127.0.0.1:${await freePort()}`;
    const keyFile = join(base, 'key');
    const unlock = ['--key-file', keyFile];
    expect((await own('init', '--name', 'laptop', '--broker', elsewhere, ...unlock)).status).toBe(0);
    const first = start('start', '--port', String(port), '--json', ...unlock);
    const ready = await first.saw('ready');
    expect(ready).toMatchObject({ broker: elsewhere });
    expect(ready).not.toHaveProperty('embeddedBroker');
    await first.saw('invite');
    await terminate(first);
    expect(first.stderr).not.toContain('embedded');
    const local = start(...words('--json', ...unlock));
    await local.saw('invite');
    await terminate(local);
    expect(local.stderr).toContain('a broker is set, so the embedded one is not started');
  });

  it('a port that is taken is told of, and how to take another one', async () => {
    const other = createServer().listen(port, '127.0.0.1');
    try {
      const ended = await mesh(words('--json'), { env: env() });
      expect(codeOf(ended)).toEqual([1, 'embedded-broker-cannot-listen']);
      expect(ended.events.at(-1)?.hint).toContain('another address or port');
    } finally {
      other.close();
    }
    expect(codeOf(await mesh(['start', '--port', 'many', '--json'], { env: env() }))).toEqual([2, 'usage']);
  });

  it('a port that makes no sense is a mistake before anything is made', async () => {
    expect(codeOf(await mesh(['start', '--port', '65536', '--json'], { env: env() }))).toEqual([2, 'usage']);
    expect(existsSync(home())).toBe(false);
  });

  it('finishes what was cut off between the making of the store and that of the device', async () => {
    const keyFile = join(base, 'key');
    const { keystore } = await createKeystore(home(), await makeKeyFile(keyFile, realRandomness));
    await keystore.close();
    const first = start(...words('--json', '--key-file', keyFile));
    await first.saw('invite');
    expect(statusOf(first.events)).toContain('initialised');
    await terminate(first);
  });

  it('does not wait for whoever has the store once it is told to stop', async () => {
    const keyFile = join(base, 'key');
    const device = { home: home(), keyFile };
    expect((await mesh(['init', '--name', 'laptop', ...as(device)])).status).toBe(0);
    const other = start('up', ...as(device), '--embedded-broker', `127.0.0.1:${port}`);
    await other.saw('connected');
    other.child.kill('SIGSTOP');
    try {
      const first = start(...words('--json', '--key-file', keyFile));
      // Nothing shows when it has come to ask the other one, which does not answer; earlier would test less.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await terminate(first);
      expect(first.events).toEqual([]);
    } finally {
      other.child.kill('SIGCONT');
    }
  });

  it('stops in time whenever it is told to, and the home is whole', { timeout: 100_000 }, async () => {
    for (let delay = 150; delay <= 900; delay += 75) {
      await rm(join(base, 'data'), { recursive: true, force: true });
      const one = start(...words('--json'));
      await new Promise((resolve) => setTimeout(resolve, delay));
      const began = performance.now();
      one.child.kill(delay % 2 === 0 ? 'SIGINT' : 'SIGTERM');
      const { status } = await one.ended();
      expect(performance.now() - began).toBeLessThan(STOP);
      // Before it has read what it is to do a signal simply ends it.
      if (one.events.length > 0) expect([status, delay]).toEqual([0, delay]);
      if (!existsSync(home())) continue;
      const again = start(...words('--json'));
      await again.saw('invite');
      await terminate(again);
    }
  });
});

describe('at a terminal', () => {
  it('asks nothing, shows the code to scan, takes the one that is typed, and goes on', async () => {
    const terminal = sit();
    const link = await linkOn(terminal);
    expect(terminal.screen).not.toContain('passphrase');
    expect(terminal.screen).toContain('npx mesh join -');
    expect(terminal.raw).toContain('\u001b[30;47;107m');
    const [joining, phone] = newcomer(link);
    const { code } = await joining.saw('code');
    await terminal.shows(PROMPT);
    terminal.type(`12${ENTER}`);
    await terminal.shows('once more');
    terminal.type(String(code) + ENTER);
    await terminal.shows('"phone" is a member now');
    expect((await joining.ended()).status).toBe(0);
    await terminal.shows('"mesh invite" in another terminal');
    const sent = await mesh([
      'send',
      'all',
      'hello',
      '--wait',
      'delivered',
      '--timeout',
      '20s',
      ...as(phone),
    ]);
    expect(sent.status, sent.stdout).toBe(0);
    await endsSoon(terminal, () => terminal.type(CONTROL_C));
  });

  it('Ctrl-C where the code is asked for sends the newcomer away and ends all', async () => {
    const terminal = sit();
    const [joining] = newcomer(await linkOn(terminal));
    await joining.saw('code');
    await terminal.shows(PROMPT);
    await endsSoon(terminal, () => terminal.type(CONTROL_C));
    expect(codeOf(await joining.ended())).toEqual([7, 'invite-declined']);
  });

  it('a signal from outside does so too, and leaves no prompt behind', async () => {
    const terminal = sit();
    const [joining] = newcomer(await linkOn(terminal));
    await joining.saw('code');
    await terminal.shows(PROMPT);
    await endsSoon(terminal, () => process.kill(terminal.pid, 'SIGTERM'));
    expect(codeOf(await joining.ended())).toEqual([7, 'invite-declined']);
  });

  it('a wrong code burns the invite, and Enter makes the next one', async () => {
    const terminal = sit();
    const first = await linkOn(terminal);
    const [joining, phone] = newcomer(first);
    const { code } = await joining.saw('code');
    await terminal.shows(PROMPT);
    terminal.type(String(code).replace(/^./, (digit) => String((Number(digit) + 1) % 10)) + ENTER);
    await terminal.shows('press Enter for a new invite');
    expect(codeOf(await joining.ended())).toEqual([7, 'invite-wrong-code']);
    terminal.type(ENTER);
    const second = await linkOn(terminal, 2);
    expect(second).not.toBe(first);
    const retry = new MeshProcess(['join', '-', '--yes', ...as(phone)], { input: second });
    running.push(retry);
    const { code: right } = await retry.saw('code');
    await eventually(() => terminal.screen.split(PROMPT).length === 3, 'it asks again');
    terminal.type(String(right) + ENTER);
    expect((await retry.ended()).status).toBe(0);
    await terminal.shows('"phone" is a member now');
    await endsSoon(terminal, () => terminal.type(CONTROL_C));
  });

  it('where somebody comes another way nobody is asked for Enter any more', async () => {
    const terminal = sit();
    await linkOn(terminal);
    const invite = start('invite', '--json');
    const { link } = await invite.saw('invite');
    await terminal.shows('press Enter for a new invite');
    const [joining] = newcomer(String(link));
    const { code } = await joining.saw('code');
    await invite.saw('claimed');
    expect((await own('approve', '--code', String(code))).status).toBe(0);
    await terminal.shows('"mesh invite" in another terminal');
    // No prompt reads keys any more: to one of them this would be the end.
    terminal.type(CONTROL_D);
    expect((await own('devices')).events).toHaveLength(2);
    expect(() => process.kill(terminal.pid, 0)).not.toThrow();
    await endsSoon(terminal, () => terminal.type(CONTROL_C));
  });

  it('the end of the terminal is its end', async () => {
    const terminal = sit();
    await linkOn(terminal);
    await endsSoon(terminal, () => process.kill(terminal.pid, 'SIGHUP'));
  });
});
