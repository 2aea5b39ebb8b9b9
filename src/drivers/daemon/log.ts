/**
 * The log: JSON for machines, a short line for people on a terminal. Nothing that holds a secret is ever handed
 * to it; the redaction below is the second line of defence: by name, however deep, and by the two forms in which
 * a secret is part of a longer text.
 */
import pino from 'pino';

export type Level = 'silent' | 'error' | 'warn' | 'info' | 'debug';

export interface Log {
  debug(data: Readonly<Record<string, unknown>>, message: string): void;
  info(data: Readonly<Record<string, unknown>>, message: string): void;
  warn(data: Readonly<Record<string, unknown>>, message: string): void;
  error(data: Readonly<Record<string, unknown>>, message: string): void;
}

const CENSORED = '[secret]';
const SECRETS: ReadonlySet<string> = new Set([
  'secret',
  'password',
  'passphrase',
  'key',
  'picklekey',
  'payload',
  'text',
  'data',
  'params',
  'link',
]);
const DEEPEST = 6;

export interface LogTarget {
  readonly isTerminal: boolean;
  write(line: string): void;
}

export function createLog(level: Level, target: LogTarget): Log {
  const stream = {
    write(line: string) {
      const clean = withoutSecretParts(line);
      target.write(target.isTerminal ? forPeople(clean) : clean);
    },
  };
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (data) => withoutSecrets(data, 0) as Record<string, unknown>,
      },
    },
    stream,
  );
}

function withoutSecrets(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  // Its text may say anything; what may be said of it is said by whoever logs it.
  if (value instanceof Error) return value.name;
  if (depth === DEEPEST) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  const clean = Object.entries(value).map(([name, item]): [string, unknown] => [
    name,
    SECRETS.has(name.toLowerCase()) ? CENSORED : withoutSecrets(item, depth + 1),
  ]);
  return Object.fromEntries(clean);
}

/** What stands behind the # of an invite's link, and the login in a URL. */
function withoutSecretParts(line: string): string {
  return line
    .replace(/(mesh:\/\/join#)[^\s"'\\]+/gi, `$1${CENSORED}`)
    .replace(/((?:mqtt|ws)s?:\/\/)[^\s"'\\/@]*@/gi, `$1${CENSORED}@`);
}

/** Control characters in what others chose must not reach a terminal. */
function forPeople(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .join('');
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${details}\n`;
}
