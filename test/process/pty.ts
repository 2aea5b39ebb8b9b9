/** The compiled program on a terminal, as a person has it in front of them: what they see, and what they type. */
import { type IPty, spawn } from '@lydell/node-pty';
import { eventually } from '../brokers/loopback.ts';
import { PROGRAM } from './mesh-process.ts';

export const COLUMNS = 80;
export const ROWS = 40;

export const ENTER = '\r';
export const CONTROL_C = '\u0003';
export const CONTROL_D = '\u0004';
export const TABULATOR = '\t';

/** Colours and movements, window titles, and the short ones. */
const CONTROL_SEQUENCE = new RegExp(
  ['\\[[0-9;?<>=]*[A-Za-z]', '\\][^\u0007]*\u0007', '[()=>][0-9A-Za-z]?']
    .map((rest) => `\u001b${rest}`)
    .join('|'),
  'g',
);

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Ended {
  readonly status: number;
  readonly signal: number;
  readonly screen: string;
}

export class TerminalProcess {
  readonly #pty: IPty;
  readonly #ended: Promise<Ended>;
  #raw = '';
  #over = false;

  constructor(program: string, args: readonly string[], { env = {}, cwd = '/' }: TerminalOptions = {}) {
    this.#pty = spawn(program, [...args], {
      name: 'xterm-256color',
      cols: COLUMNS,
      rows: ROWS,
      cwd,
      // Nothing of this machine's own configuration reaches the program.
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', TERM: 'xterm-256color', ...env },
    });
    this.#pty.onData((text) => {
      this.#raw += text;
    });
    this.#ended = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode, signal }) => {
        this.#over = true;
        // What was written last may come in after the end was told of.
        setTimeout(() => resolve({ status: exitCode, signal: signal ?? 0, screen: this.screen }), 50);
      });
    });
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** Everything that was shown, control sequences included. */
  get raw(): string {
    return this.#raw;
  }

  /** The lines that a person reads or has read: what was written over stays, colours and movements go. */
  get screen(): string {
    return this.#raw.replace(CONTROL_SEQUENCE, '').replace(/\r+\n?/g, '\n');
  }

  async shows(text: string | RegExp, limit = 20_000): Promise<void> {
    const isThere = (): boolean =>
      typeof text === 'string' ? this.screen.includes(text) : text.test(this.screen);
    await eventually(
      () => {
        if (!isThere() && this.#over) throw new Error(`it ended without showing ${text}:\n${this.screen}`);
        return isThere();
      },
      `the screen shows ${text}`,
      limit,
    );
  }

  type(keys: string): void {
    this.#pty.write(keys);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** For the end of every test: whatever state it is in, it is gone after this. */
  async stop(): Promise<void> {
    if (!this.#over) process.kill(this.pid, 'SIGKILL');
    await this.#ended;
  }
}

export function onTerminal(args: readonly string[], options?: TerminalOptions): TerminalProcess {
  return new TerminalProcess(process.execPath, [PROGRAM, ...args], options);
}
