/** Runs a person's command for a message, again and again until it ends well. */
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import type { Invocation } from './invocation.ts';

/** Short, because most failures are over at once; it doubles, so one that lasts costs little in ten tries. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 60_000;

export type CommandRunner = (
  message: JsonObject,
  trouble: (attempts: number, error: string) => void,
) => Promise<undefined>;

/**
 * Where the keys of the store are is nothing that a command has to know: it acts on what others have sent, and
 * whoever has the store open serves it without a key. Neither is a secret, and a process of the same person
 * can read the file all the same; but environments get printed. `CREDENTIALS_DIRECTORY` stays: what a person's
 * service hands to its own command lies there too.
 */
const NOT_FOR_COMMANDS: ReadonlySet<string> = new Set(['MESH_KEY_FILE', 'MESH_PASSPHRASE_FILE']);

/** With `--json` stdout is ours, so what the command prints goes to stderr. */
export function commandRunner(
  command: string,
  { home, json }: Pick<Invocation, 'home' | 'json'>,
): CommandRunner {
  const kept = Object.entries(process.env).filter(([name]) => !NOT_FOR_COMMANDS.has(name));
  const inherited = Object.fromEntries(kept);
  return async (message, trouble) => {
    for (let attempts = 1; ; attempts++) {
      const error = await runOnce(command, message, { ...inherited, MESH_HOME: home }, json);
      if (error === undefined) return undefined;
      trouble(attempts, error);
      process.stderr.write(`mesh: the command ${error}; trying again\n`);
      await pause(Math.min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE));
    }
  };
}

/** What went wrong, if anything did. */
function runOnce(
  command: string,
  message: JsonObject,
  inherited: NodeJS.ProcessEnv,
  json: boolean,
): Promise<string | undefined> {
  const { id, from, type, thread, group, text, data } = message;
  const payload = typeof text === 'string' ? Buffer.from(text) : Buffer.from(String(data ?? ''), 'base64');
  const variable = (value: unknown): string => (typeof value === 'string' ? value.replaceAll('\0', '') : '');
  return new Promise((resolve) => {
    const child = spawn(command, {
      shell: true,
      stdio: ['pipe', json ? process.stderr : 'inherit', 'inherit'],
      env: {
        ...inherited,
        MESH_FROM: variable(from),
        MESH_ID: variable(id),
        MESH_TYPE: variable(type),
        MESH_THREAD: variable(thread),
        MESH_GROUP: variable(group),
      },
    });
    child.once('error', (error) => resolve(`cannot be run (${error.message})`));
    child.once('close', (status, signal) => {
      if (status === 0) resolve(undefined);
      else resolve(signal === null ? `ended with ${status}` : `was ended by ${signal}`);
    });
    // A command need not read what it is given.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(payload);
  });
}
