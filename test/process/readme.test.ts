/**
 * The README does what it says: its walk-throughs are run as they stand there, on machines that are played, and its
 * tables are held against the program. What one machine cannot have (a phone, apt, systemd) is played by scripts;
 * what systemd would start is started.
 *
 * Long, because all that is said in one document is checked in one place.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { reachableAddress } from '../../src/drivers/aedes/address.ts';
import { leaves } from '../../src/drivers/cli/man.ts';
import { wholeTree } from '../../src/drivers/cli/program.ts';
import { type ErrorCode, ExitStatus, explanations } from '../../src/entities/errors.ts';
import { SETTING_KEYS } from '../../src/usecases/settings.ts';
import { eventually, freePort } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type Block, blocksOf, type Step } from '../support/readme-blocks.ts';
import { createMachines, type Machines, type Running, readPackage } from '../support/readme-machine.ts';
import { row, TABLE_HEAD, troubleshootingPage } from '../support/readme-troubleshooting.ts';
import { as, compile, type Ended, mesh } from './mesh-process.ts';
import { make } from './pairing-cast.ts';
import { CONTROL_C } from './pty.ts';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = blocksOf(readme);
const program = await wholeTree();

/** Who appears in the walk-through at a broker that has logins. The others are the story of the rest. */
const STRANGERS = ['desk', 'shed'];
const BROKER_PASSWORD = 'correct horse';
const NETWORK_PORT = 8883;

const deviceOf = ({ who }: Block): string => who.split('/')[0] ?? '';
const isWalk = ({ who }: Block): boolean => who.includes('/');
const block = (who: string): Block => {
  const found = blocks.find((one) => one.who === who);
  if (found === undefined) throw new Error(`the README has no block "${who}"`);
  return found;
};
/** The rules for a broker: for a login that all share, and for one each. */
const [shared = '', single = ''] = block('acl').text.split(/^# or /m);

beforeAll(compile, 120_000);

let base: string;
let machines: Machines;
/** The command that goes on in each terminal. */
let going: Map<string, { readonly running: Running; readonly block: Block; readonly step: Step }>;

beforeEach(async () => {
  base = await temporaryDirectory();
  machines = await createMachines(join(base, 'm'));
  going = new Map();
});
afterEach(async () => {
  await machines.stop();
  await rm(base, { recursive: true, force: true });
});

/** `adapt` puts what this machine has in place of what a reader fills in. */
async function walk(
  chosen: readonly Block[],
  adapt: (command: string) => string = (command) => command,
): Promise<void> {
  for (const one of chosen) {
    // What went on in this terminal has to be over before the next line is typed there.
    await settle(one.who);
    for (const [at, step] of one.steps.entries()) {
      const goesOn = one.stays && at === one.steps.length - 1;
      const line = lineFor(one, step.command);
      // In place of the shell that it was typed into: Ctrl-C is for it alone, and its status its own.
      const command = adapt(goesOn ? `exec ${line}` : line);
      const running = await machines.start(deviceOf(one), command, step);
      going.set(one.who, { running, block: one, step });
      if (!goesOn) await settle(one.who);
    }
  }
  for (const [who, { running, block }] of going) {
    if (block.endsWith === undefined && !running.isOver()) {
      await running.talked;
      running.terminal.type(CONTROL_C);
    }
    await settle(who);
  }
}

async function settle(who: string): Promise<void> {
  const last = going.get(who);
  if (last === undefined) return;
  const { running, block, step } = last;
  going.delete(who);
  await running.talked;
  const about = `line ${step.line} of the README: ${step.command}`;
  await eventually(running.isOver, `the end of ${about}`, 60_000);
  const { status, signal, screen } = await running.terminal.ended();
  const wanted = block.stays && step === block.steps.at(-1) ? (block.endsWith ?? 0) : 0;
  expect([status, signal], `${about}\n${screen}`).toEqual([wanted, 0]);
}

/** What cron makes of its line: the command without the times. */
function lineFor({ words }: Block, command: string): string {
  if (!words.includes('crontab')) return command;
  const [, rest = ''] = /^(?:[\d*/,-]+\s+){5}(.*)$/.exec(command) ?? [];
  expect(rest, 'a crontab has five fields of time').not.toBe('');
  return rest.replace('/usr/local/bin/mesh', 'mesh');
}

const story = blocks.filter((one) => isWalk(one) && !STRANGERS.includes(deviceOf(one)));
const abroad = blocks.filter((one) => isWalk(one) && STRANGERS.includes(deviceOf(one)));
const hasJq = spawnSync('jq', ['--version'], { stdio: 'ignore' }).error === undefined;
const here = story.filter(({ words }) => hasJq || !words.includes('needs jq'));
const withJq = hasJq ? '' : ' (but for the lines with jq, which is not installed)';

describe(`the walk-throughs, line by line${withJq}`, () => {
  it('hold for the broker that "npm start" runs', async ({ skip }) => {
    const address = reachableAddress('0.0.0.0', networkInterfaces());
    if (address === undefined) skip('this machine is in no network, so an invite could not name it');
    // Something of this machine may listen there.
    const port = (await answers(NETWORK_PORT)) ? await freePort() : NETWORK_PORT;
    await mkdir(join(machines.home('pi'), 'stick'), { recursive: true });
    await walk(here, (command) =>
      command === 'exec npm start' && port !== NETWORK_PORT ? `${command} -- --port ${port}` : command,
    );
    await provePlayed();
  }, 240_000);

  it.skipIf(!hasMosquitto)(
    'hold for a Mosquitto',
    async () => {
      const broker = await startMosquitto();
      try {
        await mkdir(join(machines.home('pi'), 'stick'), { recursive: true });
        const given = / init --name laptop$/;
        await walk(here, (command) => command.replace(given, (all) => `${all} --broker ${broker.url}`));
        await provePlayed();
      } finally {
        await broker.stop();
      }
    },
    240_000,
  );

  it.skipIf(!hasMosquitto)(
    'hold for a Mosquitto with a login and the rules that stand there',
    async () => {
      const broker = await strict({ mesh: BROKER_PASSWORD }, shared);
      try {
        for (const device of STRANGERS) {
          await mkdir(machines.home(device), { recursive: true });
          await writeFile(join(machines.home(device), 'broker-password'), `${BROKER_PASSWORD}\n`, {
            mode: 0o600,
          });
        }
        await walk(abroad, (command) => command.replace('mqtts://broker.example', broker.url));
      } finally {
        await broker.stop();
      }
    },
    240_000,
  );
});

/** What the machine was told is what such a machine would have understood. */
async function provePlayed(): Promise<void> {
  const pi = await machines.told('pi');
  expect(pi.slice(0, 3)).toEqual([
    'apt install nodejs npm',
    'systemctl --user --version',
    'systemctl --user daemon-reload',
  ]);
  const unit = /^systemctl --user enable --now (trusted-mesh-[0-9a-f]{16}\.service)$/.exec(pi[3] ?? '')?.[1];
  expect(unit).toBeDefined();
  expect(pi).toContain('loginctl enable-linger alice');
  expect(pi).toContain(`systemctl --user disable --now ${unit}`);
  expect(await machines.told('phone')).toEqual(['pkg install nodejs-lts']);
  // Of the device that has left nothing is there but what the person put elsewhere.
  expect(await readdir(join(machines.home('pi'), 'config/systemd/user'))).toEqual([]);
  expect(existsSync(join(machines.home('pi'), 'data/trusted-mesh/header'))).toBe(false);
  expect(await readFile(join(machines.home('pi'), 'lamp'), 'utf8')).toBe('on');
}

function strict(logins: Readonly<Record<string, string>>, rules: string): Promise<Mosquitto> {
  return startMosquitto({ logins, acl: rules.split('\n') });
}

it.skipIf(!hasMosquitto)('a login for each device, named after it, is enough, and less is not', async () => {
  const laptop = await make(base, 'laptop');
  const [status] = (await mesh(['status', ...as(laptop)])).events;
  const examined = async (user: string): Promise<Ended> => {
    const broker = await strict({ [user]: BROKER_PASSWORD }, `# ${single}`);
    try {
      const set = (key: string, value: string, input = ''): Promise<Ended> =>
        mesh(['config', 'set', key, value, ...as(laptop)], { input });
      await set('broker', broker.url);
      await set('broker-user', user);
      await set('broker-password', '-', BROKER_PASSWORD);
      return await mesh(['doctor', ...as(laptop)]);
    } finally {
      await broker.stop();
    }
  };
  const right = await examined(String(status?.deviceId));
  expect(right.status, right.stdout).toBe(0);
  const other = await examined('somebody-else');
  expect(other.status, other.stdout).not.toBe(0);
});

describe('the scripts that are named', () => {
  it('are there', async () => {
    const { scripts, version, name } = await readPackage();
    const documents = [readme, await readFile(join(root, 'CONTRIBUTING.md'), 'utf8')];
    for (const [all, word = ''] of documents
      .join('\n')
      .matchAll(/npm (?:run )?(start|test|(?<=run )[\w-]+)/g)) {
      expect(Object.keys(scripts), all).toContain(word);
    }
    expect(scripts.prepare, '"npm ci" builds').toContain('tsc -b');
    expect(readme).toContain(`${name}-${version}.tgz`);
  });

  it('"npm run demo" comes to its end and leaves nothing', async () => {
    const scripts = block('scripts');
    const demo = scripts.steps.find(({ command }) => command.startsWith('npm run demo'));
    if (demo === undefined) throw new Error('the README does not name it');
    const { terminal } = await machines.start('laptop', demo.command, demo);
    const { status, screen } = await terminal.ended();
    expect(status, screen).toBe(0);
    expect(existsSync(join(machines.home('laptop'), 'data/trusted-mesh'))).toBe(false);
  });
});

describe('what is said of the program', () => {
  /** Each `mesh …` in running text, tables and blocks. */
  const named = [...readme.matchAll(/(?:`|^|\| |exec '|; )(?:npx )?mesh ([a-z][^`\n|]*)/gm)].map(
    ([, words = '']) => words.replace(/^--\S+ /, ''),
  );

  it('names only commands and options that there are', () => {
    expect(named.length).toBeGreaterThan(20);
    const known = leaves(program, []);
    for (const words of named) {
      const found = known.find(({ path }) => `${words} `.startsWith(`${path.join(' ')} `));
      const isGroup = program.commands.some((one) => one.name() === words && one.commands.length > 0);
      if (isGroup) continue;
      expect(found, `mesh ${words}`).toBeDefined();
      const options = [...(found?.command.options ?? []), ...program.options].map(({ long }) => long);
      for (const [option] of words.replace(/'.*'/, '').matchAll(/(?<= )--[a-z-]+/g)) {
        expect(options, `mesh ${words}`).toContain(option);
      }
    }
  });

  it('names every setting, and no other', () => {
    const [, table = ''] = /\| key \| meaning \|\n\| --- \| --- \|\n((?:\|.*\n)+)/.exec(readme) ?? [];
    const keys = [...table.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, key]) => key);
    expect(keys.sort()).toEqual([...SETTING_KEYS].sort());
  });

  it('names every exit status', () => {
    const [, table = ''] = /\| status \| meaning \|\n\| --- \| --- \|\n((?:\|.*\n)+)/.exec(readme) ?? [];
    const statuses = [...table.matchAll(/^\| (\d) \|/gm)].map(([, status]) => Number(status));
    expect(statuses).toEqual(Object.values(ExitStatus));
  });

  it('names only documents that there are', () => {
    const paths = [...readme.matchAll(/`((?:docs\/|[A-Z]+\.md)[\w./-]*)`/g)].map(([, path]) => path ?? '');
    expect(paths.length).toBeGreaterThan(8);
    for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true);
  });

  it('is short enough to be read', () => {
    expect(readme.split('\n').length).toBeLessThan(300);
  });
});

describe('what can go wrong', () => {
  it('stands in docs/TROUBLESHOOTING.md as "npm run troubleshooting" makes it', () => {
    expect(readFileSync(join(root, 'docs/TROUBLESHOOTING.md'), 'utf8')).toBe(troubleshootingPage());
  });

  it('has a row there for every code, once', () => {
    const codes = [...troubleshootingPage().matchAll(/^\| `([\w-]+)` \|/gm)].map(([, code]) => code);
    expect(codes.sort()).toEqual(Object.keys(explanations).sort());
  });

  it('has ten rows in the README, as the program says them', () => {
    const [, table = ''] = readme.split(TABLE_HEAD);
    const rows = table.split('\n\n')[0]?.split('\n').filter(Boolean) ?? [];
    expect(rows).toHaveLength(10);
    for (const line of rows) {
      const code = /^\| `([\w-]+)` \|/.exec(line)?.[1] ?? '';
      expect(Object.keys(explanations)).toContain(code);
      expect(`${line}\n`).toBe(row(code as ErrorCode));
    }
  });
});

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
