/** Asks the person at the terminal for a secret, without showing it. The prompt goes to stderr. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { MeshError } from '../../entities/errors.ts';

export const isTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

export function askSecret(question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    process.stderr.write(question);
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
    let answered = false;
    lines.once('line', (answer) => {
      answered = true;
      lines.close();
      resolve(answer);
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      process.stderr.write('\n');
      if (!answered) reject(new MeshError('usage', { detail: 'no answer was given' }));
    });
  });
}
