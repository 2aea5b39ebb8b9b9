/** The person's own systemd, where there is one. */
import { execFile } from 'node:child_process';

const PATIENCE = 60_000;

export type Outcome = 'done' | 'failed' | 'absent';

/** `absent` where there is no such program at all. What it has to say goes to the person. */
export function systemctl(
  ...words: readonly string[]
): Promise<{ readonly outcome: Outcome; readonly said: string }> {
  return new Promise((resolve) => {
    execFile('systemctl', ['--user', ...words], { timeout: PATIENCE }, (error, _stdout, stderr) => {
      const outcome = error === null ? 'done' : error.code === 'ENOENT' ? 'absent' : 'failed';
      resolve({ outcome, said: stderr.trim() });
    });
  });
}
