/** One call of the program: what was asked for beside the command itself, and where the answers go. */
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { MeshError } from '../../entities/errors.ts';
import { homeDirectory } from './places.ts';

export interface GlobalOptions {
  readonly home?: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly keyFile?: string;
  readonly passphraseFile?: string;
}

export interface Output {
  /**
   * One line on stdout: the object with `--json`, else the text, if there is one. Resolves once it is written;
   * throws `output-closed` where nobody reads any more.
   */
  say(event: JsonObject, text?: string): Promise<void>;
  /** To people, beside the answer: stderr, and not with `--quiet`. */
  note(text: string): void;
  fail(error: MeshError): Promise<void>;
}

export interface Invocation {
  readonly home: string;
  readonly options: GlobalOptions;
  readonly json: boolean;
  readonly out: Output;
}

export function invocation(options: GlobalOptions): Invocation {
  const json = options.json === true;
  return { home: homeDirectory(options.home), options, json, out: output(json, options.quiet === true) };
}

export function output(json: boolean, quiet: boolean): Output {
  return {
    async say(event, text) {
      if (json) await write(`${JSON.stringify(event)}\n`);
      else if (text !== undefined) await write(`${text}\n`);
    },
    note(text) {
      if (!quiet) process.stderr.write(`mesh: ${text}\n`);
    },
    async fail(error) {
      const { code, message, hint } = error;
      if (code === 'output-closed') return;
      if (json)
        await write(`${JSON.stringify({ event: 'error', code, message, hint })}\n`).catch(() => undefined);
      else process.stderr.write(`mesh: ${message}\nhint: ${hint}\n`);
    },
  };
}

export function write(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(new MeshError('output-closed', {}, error));
      else resolve();
    });
  });
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LONGEST_DAYS = 3650;

/** Milliseconds. Throws `duration-invalid`. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const value = Number(number) * (UNITS[unit ?? ''] ?? Number.NaN);
  if (!(value <= LONGEST_DAYS * 86_400_000)) throw new MeshError('duration-invalid', { text });
  return Math.round(value);
}

/** A whole number of 1 or more. */
export function positive(text: string, option: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new MeshError('usage', { detail: `${option} takes a whole number from 1 on` });
}

/** Others chose it: nothing in it may steer a terminal. */
export function harmless(text: string): string {
  return text.replace(/(?![\t\n])[\p{Cc}\p{Cf}]/gu, '\uFFFD');
}
