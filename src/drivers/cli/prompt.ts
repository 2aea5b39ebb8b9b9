/** Asks the person at the terminal. What is asked goes to stderr, because stdout is for answers. */
import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { MeshError } from '../../entities/errors.ts';

export const isTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Without showing what is typed. */
export async function askSecret(question: string): Promise<string> {
  const answer = await ask(question, { hidden: true }).answer;
  if (answer === undefined) throw new MeshError('usage', { detail: 'no answer was given' });
  return answer;
}

export interface Question {
  /** `undefined` where the person gives none, with Ctrl-C or Ctrl-D, or where it was withdrawn. */
  readonly answer: Promise<string | undefined>;
  withdraw(): void;
}

export interface Asking {
  readonly hidden?: boolean;
  readonly from?: Readable;
  /** Says, after each line, whether all that was typed is a whole answer. Without it one line is. */
  readonly isWhole?: (text: string) => boolean;
}

export function ask(
  question: string,
  { hidden = false, from = process.stdin, isWhole = () => true }: Asking = {},
): Question {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = hidden ? nowhere : process.stderr;
  const lines = createInterface({ input: from, output, terminal: true, historySize: 0 });
  // Not before the terminal has stopped to show what is typed: somebody may be quick.
  process.stderr.write(question);
  const typed: string[] = [];
  let answered = false;
  const answer = new Promise<string | undefined>((resolve) => {
    lines.on('line', (line) => {
      if (answered) return;
      typed.push(line);
      const text = typed.join('\n');
      if (!isWhole(text)) return;
      answered = true;
      // First, because closing says so at once, to the listener below.
      resolve(text);
      lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      if (hidden || !answered) process.stderr.write('\n');
      resolve(undefined);
    });
  });
  return { answer, withdraw: () => lines.close() };
}

/**
 * A yes or a no. Throws `answer-needed` where there is nobody to ask, and `answer-no` where the answer is anything
 * but a yes. Where stdin is taken, by a link for example, the person is asked at the terminal itself.
 */
export async function confirm(question: string, stdinIsTaken = false): Promise<void> {
  const piped = process.stdin.isTTY !== true;
  // Only beside a stderr that a person sees: a script that happens to run in a terminal is not to wait for one.
  if (process.stderr.isTTY !== true || (piped && !stdinIsTaken)) throw new MeshError('answer-needed');
  const answer = piped ? await atTerminal(question) : await ask(question).answer;
  if (!/^y(?:es)?$/i.test(answer?.trim() ?? '')) throw new MeshError('answer-no');
}

async function atTerminal(question: string): Promise<string | undefined> {
  let descriptor: number;
  try {
    descriptor = openSync('/dev/tty', 'r+');
  } catch (cause) {
    throw new MeshError('answer-needed', {}, cause);
  }
  const terminal = new ReadStream(descriptor);
  try {
    return await ask(question, { from: terminal }).answer;
  } finally {
    terminal.destroy();
  }
}
