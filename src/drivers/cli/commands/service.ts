import { realpathSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { MeshError } from '../../../entities/errors.ts';
import { utf8 } from '../../../entities/text.ts';
import { replaceFile } from '../../node/durable-file.ts';
import { exists } from '../../node/home.ts';
import { socketPath } from '../../node/local-socket.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import type { Invocation } from '../invocation.ts';
import { serviceName, userUnits } from '../places.ts';
import { insteadOfSystemd, shellWord } from '../service/elsewhere.ts';
import { systemctl } from '../service/systemctl.ts';
import { type UnitUnlock, unitText } from '../service/unit.ts';
import { findUnlockFile } from '../unlocking.ts';

interface InstallOptions {
  readonly credential?: true;
  readonly embeddedBroker?: string | true;
  readonly start: boolean;
}

export function defineService(program: Command, run: Run): void {
  const service = program
    .command('service')
    .description('let systemd look after the daemon, as long as you are logged in or lingering');
  const install = service
    .command('install')
    .description('write a systemd user unit for the device of this home, and start it')
    .option('--credential', 'hand over the key file as a credential, which only the service can read')
    .option('--embedded-broker [host:port]', 'run a broker too, as "mesh up" would')
    .option('--no-start', 'only write the unit')
    .action((options: InstallOptions, command: Command) =>
      run(command, async (invocation) => {
        await installUnit(invocation, options);
        return undefined;
      }),
    );
  withExamples(install, 'mesh service install', 'mesh service install --credential --key-file ~/pi.key');
  const uninstall = service
    .command('uninstall')
    .description('stop the daemon that systemd looks after, and take its unit away')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        await uninstallUnit(invocation);
        return undefined;
      }),
    );
  withExamples(uninstall, 'mesh service uninstall');
}

async function installUnit(invocation: Invocation, options: InstallOptions): Promise<void> {
  const { home, out } = invocation;
  const found = await findUnlockFile(invocation);
  if (options.credential === true && found.by !== 'key-file') {
    throw new MeshError('usage', { detail: '--credential needs a key file; name it with --key-file' });
  }
  const unlock: UnitUnlock = options.credential === true ? { by: 'credential', path: found.path } : found;
  const node = process.execPath;
  const script = realpathSync(process.argv[1] ?? '');
  const socket = dirname(socketPath(home));
  const text = unitText({
    node,
    script,
    home,
    // The directory of such a socket is made by whoever comes first.
    writable: socket === resolve(home) ? [] : [dirname(socket)],
    embeddedBroker: options.embeddedBroker,
    unlock,
  });
  // Asked for anything at all, it shows whether it is there.
  if (process.platform !== 'linux' || (await systemctl('--version')).outcome === 'absent') {
    const variable = found.by === 'key-file' ? 'MESH_KEY_FILE' : 'MESH_PASSPHRASE_FILE';
    const words = ['env', `${variable}=${found.path}`, node, script, '--home', home, 'up'];
    const instead = insteadOfSystemd(process.platform, process.env, words.map(shellWord).join(' '));
    throw new MeshError('service-unsupported', { instead });
  }
  const name = serviceName(home);
  const unit = join(userUnits(), name);
  await mkdir(dirname(unit), { recursive: true });
  await replaceFile(unit, utf8(text));

  const steps = [['daemon-reload'], ['enable', '--now', name]];
  const left = options.start ? await runAll(steps, invocation) : steps;
  const next = left.map((words) => `systemctl --user ${words.join(' ')}`);
  await out.say(
    { event: 'installed', unit, started: left.length === 0, next },
    left.length === 0
      ? `${unit} is installed, and the daemon runs`
      : `${unit} is written; what is left to do:\n${next.map((line) => `  ${line}`).join('\n')}`,
  );
  out.note('it ends when you log out, and starts when you log in; "loginctl enable-linger" keeps it running');
}

async function uninstallUnit(invocation: Invocation): Promise<void> {
  const name = serviceName(invocation.home);
  const unit = join(userUnits(), name);
  const installed = await exists(unit);
  if (installed) {
    await runAll([['disable', '--now', name]], invocation);
    await rm(unit);
    await runAll([['daemon-reload']], invocation);
  }
  await invocation.out.say(
    { event: 'uninstalled', unit, installed },
    installed ? `${unit} is gone` : `there is no ${unit}`,
  );
}

/** Up to the first that fails; what was not done is given back. */
async function runAll(
  steps: readonly (readonly string[])[],
  { out }: Invocation,
): Promise<readonly (readonly string[])[]> {
  for (const [at, words] of steps.entries()) {
    const { outcome, said } = await systemctl(...words);
    if (outcome === 'done') continue;
    out.note(`systemctl --user ${words.join(' ')}: ${said === '' ? outcome : said}`);
    return steps.slice(at);
  }
  return [];
}
