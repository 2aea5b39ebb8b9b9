/** The compiled program as a process: what it was told, what it said, and how it ended. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../brokers/loopback.ts';
import type { MeshDevice } from './make-mesh.ts';

const root = join(import.meta.dirname, '../..');
export const PROGRAM = join(root, 'dist/drivers/cli/mesh.js');
/** The same as it is installed: few files instead of many. */
export const BUNDLE = join(root, 'dist/bin/mesh.js');

/** The processes run what is compiled, so that has to be what is written. */
export async function compile(): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-b', 'src/drivers'], { cwd: root });
}

export async function bundle(): Promise<void> {
  await compile();
  await promisify(execFile)(process.execPath, [join(root, 'scripts/bundle.mjs')], { cwd: root });
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of stdout, as JSON. */
  readonly events: readonly Event[];
}

export type Event = Readonly<Record<string, unknown>>;

/** Nothing of this machine's own configuration reaches the program. */
function environment(extra: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...extra };
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** What is run, if not what the compiler wrote. */
  readonly program?: string;
  /** Words that another program needs in front, to run it elsewhere. */
  readonly through?: readonly string[];
}

export class MeshProcess {
  readonly child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  constructor(
    args: readonly string[],
    { input, env = {}, program: file = PROGRAM, through = [] }: RunOptions = {},
  ) {
    const [program = '', ...words] = [...through, process.execPath, file, ...args];
    const child = spawn(program, words, { env: environment(env) });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => {
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr, events: this.events });
      });
    });
  }

  get events(): readonly Event[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line): Event => JSON.parse(line));
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  async saw(event: string, limit = 20_000): Promise<Event> {
    let found: Event | undefined;
    await eventually(
      () => {
        found = this.events.find((one) => one.event === event);
        const over = this.child.exitCode ?? this.child.signalCode;
        if (found === undefined && over !== null) throw new Error(`it ended first: ${over}\n${this.#stderr}`);
        return found !== undefined;
      },
      `"${event}" is said`,
      limit,
    );
    return found ?? {};
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    return this.#ended;
  }
}

export function mesh(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return new MeshProcess(args, options).ended();
}

/** The options with which a command finds this device. */
export const as = (device: Pick<MeshDevice, 'home' | 'keyFile'>): string[] => [
  '--json',
  '--home',
  device.home,
  '--key-file',
  device.keyFile,
];

/** A daemon that is ready and has reached its broker. */
export async function up(device: MeshDevice, ...args: string[]): Promise<MeshProcess> {
  const daemon = new MeshProcess(['up', ...as(device), ...args]);
  await daemon.saw('ready');
  await daemon.saw('connected');
  return daemon;
}
