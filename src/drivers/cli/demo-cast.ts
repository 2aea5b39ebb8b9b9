/** The processes of the demo: this same program, once for each daemon and each command. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { MeshError } from '../../entities/errors.ts';

/** Far longer than anything here takes. */
const PATIENCE = 30_000;
/** A stop is promised within two seconds. */
const TIME_TO_STOP = 2500;
/** Whoever started the demo as a service waits for none of these. */
const NOT_FOR_THE_CAST = /^(?:NOTIFY_SOCKET$|WATCHDOG_)/;

export interface Player {
  /** The event, once it was said. */
  says(event: string): Promise<JsonObject>;
  /** The last thing that was said, once it has ended well. */
  succeeds(): Promise<JsonObject>;
  /** The error that it ends with. */
  fails(): Promise<JsonObject>;
}

export interface Cast {
  start(words: readonly string[], input?: string): Player;
  /** Ends all that still run, and lets nobody else begin. */
  dismiss(): Promise<void>;
}

export function createCast(): Cast {
  const running = new Map<ChildProcess, Promise<void>>();
  const kept = Object.entries(process.env).filter(([name]) => !NOT_FOR_THE_CAST.test(name));
  const environment = Object.fromEntries(kept);
  const [, program = ''] = process.argv;
  let isOver = false;

  return {
    start(words, input = '') {
      if (isOver) throw failed(words, 'it was interrupted');
      const child = spawn(process.execPath, [program, ...words], { env: environment });
      const ended = new Promise<void>((resolve) => {
        child.once('error', () => resolve());
        child.once('close', () => resolve());
      });
      running.set(
        child,
        ended.then(() => void running.delete(child)),
      );
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      return follow(child, words, ended);
    },
    async dismiss() {
      isOver = true;
      const all = [...running];
      for (const [child] of all) child.kill('SIGTERM');
      const last = setTimeout(() => {
        for (const [child] of all) child.kill('SIGKILL');
      }, TIME_TO_STOP);
      await Promise.all(all.map(([, ended]) => ended));
      clearTimeout(last);
    },
  };
}

function follow(child: ChildProcess, words: readonly string[], ended: Promise<void>): Player {
  const events: JsonObject[] = [];
  let rest = '';
  let complaint = '';
  let wake: () => void = () => undefined;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    events.push(...lines.map((line): JsonObject => JSON.parse(line)));
    wake();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = text;
  });
  void ended.then(() => wake());

  async function until<T>(look: (isOver: boolean) => T | undefined): Promise<T> {
    const deadline = setTimeout(() => wake(), PATIENCE);
    const late = performance.now() + PATIENCE;
    try {
      for (;;) {
        const isOver = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
        // What was said last is read only by the time all is closed.
        if (isOver) await ended;
        const found = look(isOver);
        if (found !== undefined) return found;
        if (isOver || performance.now() >= late) {
          const { message = complaint } = events.at(-1) ?? {};
          throw failed(words, isOver ? `ended with ${child.exitCode}: ${String(message)}` : 'takes too long');
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  const last = (): JsonObject => events.at(-1) ?? {};
  return {
    says: (event) => until(() => events.find((one) => one.event === event)),
    succeeds: () => until((isOver) => (isOver && child.exitCode === 0 ? last() : undefined)),
    fails: () => until((isOver) => (isOver && last().event === 'error' ? last() : undefined)),
  };
}

const failed = (words: readonly string[], detail: string): MeshError =>
  new MeshError('demo-failed', { detail: `"mesh ${words[0]}": ${detail}` });
