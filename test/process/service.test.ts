/** The unit that systemd gets, and what the daemon tells systemd. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { insteadOfSystemd, shellWord } from '../../src/drivers/cli/service/elsewhere.ts';
import { type UnitParts, unitText } from '../../src/drivers/cli/service/unit.ts';
import { eventually, freePort } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type Ended, MeshProcess, mesh } from './mesh-process.ts';

const hasAnalyze = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).error === undefined;

let base: string;
let laptop: MeshDevice;

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  const brokerUrl = `mqtt://127.0.0.1:${await freePort()}`;
  const [first] = await makeMesh({ count: 1, dir: base, brokerUrl });
  if (first === undefined) throw new Error('one was asked for');
  laptop = first;
  await mkdir(at('bin'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

const at = (name: string): string => join(base, name);

/** A program in PATH that writes down what it is told. */
async function fake(name: string, status: number): Promise<void> {
  const script = `#!/bin/sh\necho "$*" >> '${at(`${name}.log`)}'\necho 'no bus' >&2\nexit ${status}\n`;
  await writeFile(at(`bin/${name}`), script, { mode: 0o755 });
}
const told = async (name: string): Promise<readonly string[]> =>
  existsSync(at(`${name}.log`)) ? (await readFile(at(`${name}.log`), 'utf8')).split('\n').slice(0, -1) : [];
const service = (...args: readonly string[]): Promise<Ended> =>
  mesh(['service', ...args], { env: { PATH: at('bin'), XDG_CONFIG_HOME: at('config') } });
const units = (): Promise<string[]> => readdir(at('config/systemd/user'));

test('install writes a unit with absolute paths, and starts it; uninstall takes both back', async () => {
  await fake('systemctl', 0);
  const installed = await service('install', ...as(laptop));
  expect(installed.status).toBe(0);
  const [event] = installed.events;
  const unit = String(event?.unit);
  expect(event).toEqual({ event: 'installed', unit, started: true, next: [] });
  const [name] = await units();
  expect(unit).toBe(at(`config/systemd/user/${name}`));
  expect((await stat(unit)).mode & 0o077).toBe(0);
  const text = await readFile(unit, 'utf8');
  expect(text).toContain(`ExecStart="${process.execPath}" "/`);
  expect(text).toContain(`"--home" "${laptop.home}" "up"\n`);
  expect(text).toContain(`Environment="MESH_KEY_FILE=${laptop.keyFile}"\n`);
  expect(text).toContain(`ReadWritePaths="${laptop.home}"\n`);
  for (const line of [
    'Type=notify',
    'NotifyAccess=all',
    'WatchdogSec=60',
    'Restart=on-failure',
    'RestartPreventExitStatus=2 3 7',
    'UMask=0077',
    'LimitCORE=0',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  expect(await told('systemctl')).toEqual([
    '--user --version',
    '--user daemon-reload',
    `--user enable --now ${name}`,
  ]);
  const removed = await service('uninstall', ...as(laptop));
  expect(removed.events).toEqual([{ event: 'uninstalled', unit, installed: true }]);
  expect(await units()).toEqual([]);
  expect((await told('systemctl')).slice(3)).toEqual([
    `--user disable --now ${name}`,
    '--user daemon-reload',
  ]);
  expect((await service('uninstall', ...as(laptop))).events).toMatchObject([{ installed: false }]);
});

test('where the systemd of the person does not answer, the next commands are said', async () => {
  await fake('systemctl', 1);
  const { status, events, stderr } = await service('install', ...as(laptop));
  expect(status).toBe(0);
  const [name] = await units();
  expect(events).toMatchObject([
    { started: false, next: ['systemctl --user daemon-reload', `systemctl --user enable --now ${name}`] },
  ]);
  expect(stderr).toContain('no bus');
  expect(stderr).toContain('loginctl enable-linger');
});

test('only the unit is written where that is all that is wanted', async () => {
  await fake('systemctl', 0);
  const { events } = await service('install', '--no-start', ...as(laptop));
  expect(events).toMatchObject([{ started: false, next: [expect.any(String), expect.any(String)] }]);
  expect(await told('systemctl')).toEqual(['--user --version']);
});

test('without systemd nothing is written, and a person is told what to do instead', async () => {
  const { status, events } = await service('install', ...as(laptop));
  expect([status, events.at(-1)?.code]).toEqual([1, 'service-unsupported']);
  expect(events.at(-1)?.hint).toContain(`${laptop.home} up`);
  expect(existsSync(at('config'))).toBe(false);
});

test('a home without a device, and a store that only a person can open, get no service', async () => {
  await fake('systemctl', 0);
  const missing = await service('install', '--home', at('nowhere'), '--json');
  expect([missing.status, missing.events.at(-1)?.code]).toEqual([3, 'store-not-initialised']);
  const asked = await service('install', '--home', laptop.home, '--json');
  expect([asked.status, asked.events.at(-1)?.code]).toEqual([3, 'service-needs-key']);
  expect(existsSync(at('config'))).toBe(false);
});

test('a key file may be handed over as a credential, and opens the store as one', async () => {
  await fake('systemctl', 0);
  await service('install', '--credential', ...as(laptop));
  const [name] = await units();
  const text = await readFile(at(`config/systemd/user/${name}`), 'utf8');
  expect(text).toContain(`LoadCredential="mesh-key:${laptop.keyFile}"`);
  expect(text).not.toContain('MESH_KEY_FILE');
  await mkdir(at('credentials'));
  await writeFile(at('credentials/mesh-key'), await readFile(laptop.keyFile));
  const opened = await mesh(['status', '--home', laptop.home, '--json'], {
    env: { CREDENTIALS_DIRECTORY: at('credentials') },
  });
  expect([opened.status, opened.events[0]?.deviceId]).toEqual([0, laptop.deviceId]);
});

const parts: UnitParts = {
  node: '/usr/bin/node',
  script: '/opt/mesh/mesh.js',
  home: '/home/alice/100% "mine" $HOME',
  writable: ['/tmp'],
  embeddedBroker: '0.0.0.0:8883',
  unlock: { by: 'passphrase-file', path: '/home/alice/a b' },
};

test('nothing in a path means anything to systemd', () => {
  const text = unitText(parts);
  expect(text).toContain(
    '"--home" "/home/alice/100%% \\"mine\\" $$HOME" "up" "--embedded-broker" "0.0.0.0:8883"\n',
  );
  expect(text).toContain('ReadWritePaths="/home/alice/100%% \\"mine\\" $HOME" "/tmp"\n');
  expect(text).toContain('Environment="MESH_PASSPHRASE_FILE=/home/alice/a b"\n');
  expect(() => unitText({ ...parts, home: '/x\nExecStartPre=/bin/evil' })).toThrow(
    expect.objectContaining({ code: 'service-path-unusable' }),
  );
});

test.skipIf(!hasAnalyze)(
  `systemd understands the unit${hasAnalyze ? '' : ' (systemd-analyze is not installed, so skipped)'}`,
  async () => {
    const embeddedBroker = undefined;
    for (const unlock of [parts.unlock, { by: 'credential', path: '/home/alice/key' } as const]) {
      const unit = at('trusted-mesh-check.service');
      const node = process.execPath;
      await writeFile(unit, unitText({ ...parts, node, home: base, embeddedBroker, unlock }));
      const { stderr } = await promisify(execFile)(
        'systemd-analyze',
        ['verify', '--user', '--man=no', unit],
        {
          env: { ...process.env, XDG_RUNTIME_DIR: base, HOME: base },
        },
      );
      expect(stderr.split('\n').filter((line) => line.includes('trusted-mesh-check'))).toEqual([]);
    }
  },
);

test.each([
  ['linux', { TERMUX_VERSION: '0.118' }, '.termux/boot'],
  ['darwin', {}, 'LaunchAgents'],
  ['linux', {}, '@reboot'],
  ['win32', {}, 'log-on'],
] as const)('elsewhere there is another way: %s %j', (platform, environment, what) => {
  const text = insteadOfSystemd(platform, environment, 'node mesh.js up');
  expect(text).toContain(what);
  expect(text).toContain('node mesh.js up');
});

test('what is to be typed into a shell is quoted for it', () => {
  expect(shellWord('/home/alice/x')).toBe('/home/alice/x');
  expect(shellWord("it's $HOME")).toBe("'it'\\''s $HOME'");
});

test('the daemon tells systemd that it is ready, lives, and stops', async () => {
  await fake('systemd-notify', 0);
  const daemon = new MeshProcess(['up', ...as(laptop)], {
    env: {
      PATH: `${at('bin')}:${process.env.PATH}`,
      NOTIFY_SOCKET: at('socket'),
      WATCHDOG_USEC: '400000',
    },
  });
  try {
    await daemon.saw('ready');
    await eventually(async () => (await told('systemd-notify')).includes('WATCHDOG=1'), 'a sign of life');
    expect((await told('systemd-notify'))[0]).toBe('--ready STATUS=running');
    await eventually(
      async () => (await told('systemd-notify')).some((line) => line.startsWith('STATUS=the broker')),
      'the trouble with the broker',
    );
    expect((await daemon.stop()).status).toBe(0);
    await eventually(async () => (await told('systemd-notify')).includes('STOPPING=1'), 'the end is said');
  } finally {
    await daemon.stop('SIGKILL');
  }
});

test('a systemd-notify that is missing does not end the daemon', async () => {
  const daemon = new MeshProcess(['up', ...as(laptop)], {
    env: { PATH: at('bin'), NOTIFY_SOCKET: at('socket'), WATCHDOG_USEC: '20000' },
  });
  try {
    await daemon.saw('ready');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await mesh(['status', ...as(laptop)])).events[0]).toMatchObject({ host: 'daemon' });
    expect((await daemon.stop()).status).toBe(0);
  } finally {
    await daemon.stop('SIGKILL');
  }
});
