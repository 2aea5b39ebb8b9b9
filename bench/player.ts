/**
 * Processes that play a part in a measurement: this same program, told which part, and called from outside. What is
 * timed is timed inside of them; the calls themselves cost what they cost.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a player can be asked for. Arguments and answers are plain data. */
export type Part = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: readonly never[];
}

interface Answer {
  readonly id: number;
  readonly ok?: unknown;
  readonly error?: string;
}

export class Player<P extends Part> {
  readonly #child: ChildProcess;
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  readonly #ended: Promise<void>;
  #last = 0;

  /** With `profileInto`, it leaves a profile of its processor's time in that directory when it ends. */
  constructor(part: string, { profileInto }: { readonly profileInto?: string | undefined } = {}) {
    const profile = profileInto === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileInto];
    this.#child = fork(fileURLToPath(import.meta.url), ['--play', part], {
      serialization: 'advanced',
      execArgv: [...process.execArgv, ...profile],
    });
    this.#child.on('message', ({ id, ok, error }: Answer) => {
      const waiting = this.#open.get(id);
      this.#open.delete(id);
      if (error === undefined) waiting?.resolve(ok);
      else waiting?.reject(new Error(`${part}: ${error}`));
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        for (const { reject } of this.#open.values())
          reject(new Error(`${part} ended with ${signal ?? code}`));
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  call<Name extends keyof P & string>(name: Name, ...args: Parameters<P[Name]>): ReturnType<P[Name]> {
    const id = ++this.#last;
    const answer = new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#child.send({ id, name, args } satisfies Call);
    });
    return answer as ReturnType<P[Name]>;
  }

  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
  }
}

/** Plays the part until whoever asks is gone. */
export function play(part: Part): void {
  process.on('message', ({ id, name, args }: Call) => {
    const answer = part[name]?.(...args) ?? Promise.reject(new Error(`nothing is called ${name}`));
    answer.then(
      (ok) => process.send?.({ id, ok } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Answer),
    );
  });
  process.once('disconnect', () => process.exit());
}
