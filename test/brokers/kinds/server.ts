/** A broker as a process of its own: started, waited for, and ended by its process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { eventually } from '../loopback.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It has started when each of these takes connections. */
  readonly ports: readonly number[];
  /** What it says goes here. */
  readonly log: string;
}

export interface Server {
  readonly pid: number | undefined;
  start(): Promise<void>;
  /** Nothing happens where it does not run. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

const START_LIMIT = 90_000;

export function server({ program, args, env, ports, log }: Command): Server {
  let child: ChildProcess | undefined;
  return {
    get pid() {
      return child?.pid;
    },
    async start() {
      const output = await import('node:fs/promises').then(({ open }) => open(log, 'a'));
      const started = spawn(program, args, {
        stdio: ['ignore', output.fd, output.fd],
        ...(env === undefined ? {} : { env: { PATH: process.env.PATH, ...env } }),
      });
      child = started;
      await output.close();
      await eventually(
        async () => {
          if (started.exitCode !== null || started.signalCode !== null) {
            throw new Error(`${program} ended at once:\n${(await readFile(log, 'utf8')).slice(-2000)}`);
          }
          return (await Promise.all(ports.map(answers))).every(Boolean);
        },
        `${program} listens`,
        START_LIMIT,
      );
    },
    end(signal) {
      const ending = child;
      child = undefined;
      if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) {
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        ending.once('exit', () => resolve());
        ending.kill(signal);
      });
    },
  };
}

/** Where Debian and others put a program that is not for everybody's path. */
export function find(name: string, ...places: readonly string[]): string | undefined {
  const path = (process.env.PATH ?? '').split(':').map((directory) => `${directory}/${name}`);
  return [...path, ...places].find((file) => existsSync(file));
}

export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
