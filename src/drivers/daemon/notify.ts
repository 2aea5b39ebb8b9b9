/**
 * Tells systemd how the daemon is: ready, stopping, alive. Node cannot write to its socket, so its own program
 * "systemd-notify" does; whether that works makes no difference to the daemon.
 */
import { spawn } from 'node:child_process';

/** Said at half of what systemd waits for. */
const SHARE = 2;
const PATIENCE = 5_000;

export interface Notifier {
  ready(): void;
  /** One line, for "systemctl status". */
  status(text: string): void;
  stopping(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

const SILENT: Notifier = { ready: () => undefined, status: () => undefined, stopping: () => undefined };

/** Silent where nobody asked, which is so everywhere but under systemd. */
export function createNotifier(environment: Environment, pid: number): Notifier {
  if ((environment.NOTIFY_SOCKET ?? '') === '') return SILENT;
  let said: Promise<void> = Promise.resolve();
  /** One after the other, so that the last status said is the last one heard. */
  const say = (...words: readonly string[]): void => {
    said = said.then(() => notify(words, environment));
  };
  let alive: NodeJS.Timeout | undefined;
  return {
    ready() {
      say('--ready', 'STATUS=running');
      const pause = watchdogPause(environment, pid);
      if (pause === undefined) return;
      alive = setInterval(() => void notify(['WATCHDOG=1'], environment), pause);
      alive.unref();
    },
    status: (text) => say(`STATUS=${text.replace(/\p{Cc}/gu, ' ')}`),
    stopping() {
      clearInterval(alive);
      // Not behind the others: the process is about to end.
      void notify(['STOPPING=1'], environment);
    },
  };
}

/** Milliseconds; `undefined` where systemd does not watch, or watches somebody else. */
export function watchdogPause({ WATCHDOG_USEC, WATCHDOG_PID }: Environment, pid: number): number | undefined {
  if (WATCHDOG_USEC === undefined || !/^[1-9]\d{0,15}$/.test(WATCHDOG_USEC)) return undefined;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return undefined;
  // A timer of Node has 31 bits.
  return Math.min(Math.max(1, Math.floor(Number(WATCHDOG_USEC) / 1000 / SHARE)), 2 ** 31 - 1);
}

function notify(words: readonly string[], environment: Environment): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', words, {
      stdio: 'ignore',
      env: { ...environment },
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    });
    // Without the program there is an error and no exit.
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
    child.unref();
  });
}
