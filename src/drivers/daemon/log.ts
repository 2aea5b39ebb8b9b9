/**
 * The log: JSON for machines, a short line for people on a terminal. Nothing that holds a secret is ever handed
 * to it; the redaction below is the second line of defence, by name.
 */
import pino from 'pino';

export type Level = 'silent' | 'error' | 'warn' | 'info' | 'debug';

export interface Log {
  debug(data: Readonly<Record<string, unknown>>, message: string): void;
  info(data: Readonly<Record<string, unknown>>, message: string): void;
  warn(data: Readonly<Record<string, unknown>>, message: string): void;
  error(data: Readonly<Record<string, unknown>>, message: string): void;
}

const SECRETS = ['secret', 'password', 'passphrase', 'key', 'pickleKey', 'payload', 'text', 'data', 'params'];

export interface LogTarget {
  readonly isTerminal: boolean;
  write(line: string): void;
}

export function createLog(level: Level, target: LogTarget): Log {
  const stream = { write: (line: string) => target.write(target.isTerminal ? forPeople(line) : line) };
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...SECRETS, ...SECRETS.map((name) => `*.${name}`)], censor: '[secret]' },
    },
    stream,
  );
}

/** Control characters in what others chose must not reach a terminal. */
function forPeople(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .join('');
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${details}\n`;
}
