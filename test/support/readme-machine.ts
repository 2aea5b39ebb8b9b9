/**
 * Some machines on one: each device of a walk-through has a home of its own, and `mesh`, `npx` and `npm` on its
 * PATH. What would change the real machine (packages, systemd) is played by scripts that write down what they were
 * told; the one for systemd also runs what the unit says.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../src/drivers/node/durable-file.ts';
import { eventually } from '../brokers/loopback.ts';
import { PROGRAM } from '../process/mesh-process.ts';
import { ENTER, TerminalProcess } from '../process/pty.ts';
import type { Step } from './readme-blocks.ts';

const root = join(import.meta.dirname, '../..');
const PATIENCE = 60_000;
/** With what follows it: a terminal may not have all of it yet. */
const LINK = /mesh:\/\/join#[\w-]+(?=\s)/g;
const CODE = /^ {4}(\d{4} \d{4})$/gm;

export interface Machines {
  /** Starts a command; its questions are answered as they come. */
  start(device: string, command: string, step: Step): Promise<Running>;
  /** What the played programs were told on that device. */
  told(device: string): Promise<readonly string[]>;
  home(device: string): string;
  stop(): Promise<void>;
}

export interface Running {
  readonly terminal: TerminalProcess;
  readonly isOver: () => boolean;
  /** Rejects where a question does not come, or something is not shown. */
  readonly talked: Promise<void>;
}

export async function createMachines(dir: string): Promise<Machines> {
  const bin = join(dir, 'bin');
  await mkdir(bin, { recursive: true });
  await Promise.all(
    Object.entries(await programs()).map(async ([name, text]) => {
      await writeFile(join(bin, name), text);
      await chmod(join(bin, name), 0o755);
    }),
  );
  const terminals: TerminalProcess[] = [];
  const used = new Set<string>();
  const homes = new Set<string>();
  const home = (device: string): string => join(dir, device);

  /** The newest of what was shown anywhere and not used yet. */
  async function fresh(pattern: RegExp, what: string): Promise<string> {
    let found: string | undefined;
    await eventually(
      () => {
        const shown = terminals.flatMap(({ screen }) => [...screen.matchAll(pattern)]);
        found = shown.map(([all, part]) => part ?? all).findLast((text) => !used.has(text));
        return found !== undefined;
      },
      `${what} is shown somewhere`,
      PATIENCE,
    );
    if (found === undefined) throw new Error(`there is no ${what}`);
    used.add(found);
    return found;
  }

  function answerTo(text: string): Promise<string> | string {
    const placeholder = /^<(.*)>$/.exec(text)?.[1];
    if (placeholder === undefined) return text;
    if (placeholder === 'the link') return fresh(LINK, placeholder);
    if (placeholder === 'the code') return fresh(CODE, placeholder);
    if (placeholder === 'Enter') return '';
    throw new Error(`nobody knows what <${placeholder}> is`);
  }

  async function talk(
    terminal: TerminalProcess,
    isOver: () => boolean,
    { turns, line, command }: Step,
  ): Promise<void> {
    let from = 0;
    for (const { kind, text, answer } of turns) {
      await eventually(
        () => {
          const { screen } = terminal;
          const at = screen.indexOf(text, from);
          if (at >= 0) from = at + text.length;
          else if (isOver()) throw new Error(`${command} ended without it`);
          return at >= 0;
        },
        'it is shown',
        PATIENCE,
      ).catch((error: Error) => {
        const why = `line ${line} of the README: "${text}" is not shown (${error.message})`;
        throw new Error(`${why}\n${terminal.screen}`);
      });
      if (kind === 'asked') terminal.type((await answerTo(answer)) + ENTER);
    }
  }

  return {
    home,
    async start(device, command, step) {
      const own = home(device);
      homes.add(own);
      const places = { XDG_DATA_HOME: join(own, 'data'), XDG_CONFIG_HOME: join(own, 'config') };
      for (const place of Object.values(places)) await mkdir(place, { recursive: true, mode: 0o700 });
      const env = {
        PATH: `${bin}:${process.env.PATH ?? ''}`,
        HOME: own,
        USER: 'alice',
        PLAYED: join(own, 'played'),
        ...places,
      };
      const terminal = new TerminalProcess('/bin/sh', ['-c', command], { env, cwd: own });
      terminals.push(terminal);
      let over = false;
      const isOver = (): boolean => over;
      void terminal.ended().then(() => {
        over = true;
      });
      const talked = talk(terminal, isOver, step);
      // Whoever waits for it hears of it; until then it is nobody's.
      talked.catch(() => undefined);
      return { terminal, isOver, talked };
    },
    async told(device) {
      return (await readFile(join(home(device), 'played'), 'utf8')).split('\n').slice(0, -1);
    },
    async stop() {
      for (const terminal of terminals) await terminal.stop();
      for (const own of homes) {
        const text = await readFile(join(own, 'played.pid'), 'utf8').catch(() => '');
        if (text === '') continue;
        try {
          process.kill(Number(text), 'SIGKILL');
        } catch (error) {
          // It has ended by itself.
          if (errorCode(error) !== 'ESRCH') throw error;
        }
      }
    },
  };
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
}

export async function readPackage(): Promise<Package> {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
}

async function programs(): Promise<Readonly<Record<string, string>>> {
  const { name, version, scripts } = await readPackage();
  const sh = (text: string): string => `#!/bin/sh\n${text}\n`;
  const mesh = `'${process.execPath}' '${PROGRAM}'`;
  const played = sh('echo "$(basename "$0") $*" >> "$PLAYED"');
  // What a script starts is the bundled program; here it is the same as compiled, which is what was just written.
  const own = Object.entries(scripts)
    .filter(([, line]) => line.startsWith('node dist/bin/mesh.js'))
    .flatMap(([word, line]) => {
      const call = `exec ${line.replace('node dist/bin/mesh.js', mesh)}`;
      return [`${word}|"run ${word}") ${call} ;;`, `"${word} -- "*) shift 2; ${call} "$@" ;;`];
    });
  const file = `${name}-${version}.tgz`;
  return {
    mesh: sh(`exec ${mesh} "$@"`),
    npx: sh(`[ "$1" = mesh ] || exit 64\nshift\nexec ${mesh} "$@"`),
    npm: sh(
      [
        'case "$*" in',
        ...own,
        'ci|link) ;;',
        `pack) touch '${file}' ;;`,
        `"install -g ./${file}") ;;`,
        '*) echo "npm would not know: $*" >&2; exit 64 ;;',
        'esac',
      ].join('\n'),
    ),
    sudo: sh('exec "$@"'),
    apt: played,
    pkg: played,
    loginctl: played,
    journalctl: played,
    systemctl: sh(`exec '${process.execPath}' '${join(import.meta.dirname, 'readme-systemctl.mjs')}' "$@"`),
  };
}
