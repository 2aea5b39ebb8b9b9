/**
 * A real Mosquitto on the loopback, in a directory of its own, for as long as a test needs it. Ends what it
 * started, by process id.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { KeyAndCertificate } from './certificates.ts';
import { eventually, freePort } from './loopback.ts';

export const PROGRAM = [
  '/usr/sbin/mosquitto',
  '/usr/local/sbin/mosquitto',
  '/opt/homebrew/sbin/mosquitto',
].find(existsSync);

export const hasMosquitto = PROGRAM !== undefined;
export const withoutMosquitto = 'mosquitto is not installed, so nothing here runs against a real broker';

export interface MosquittoSettings {
  /** Keeps sessions and queues on disk, as Debian's configuration does. */
  readonly persistence?: boolean;
  readonly tls?: KeyAndCertificate;
  /** Over TLS where a certificate is given. */
  readonly webSockets?: boolean;
  /** Name and password of everybody who may connect; without it anybody may. */
  readonly logins?: Readonly<Record<string, string>>;
  /** Lines of an ACL file. */
  readonly acl?: readonly string[];
  readonly extra?: readonly string[];
}

export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly webSocketPort: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** As the power cut does. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** The process is there, its sockets too, and nobody answers. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

export async function startMosquitto(settings: MosquittoSettings = {}): Promise<Mosquitto> {
  if (PROGRAM === undefined) throw new Error(withoutMosquitto);
  const program = PROGRAM;
  const home = await mkdtemp(join(tmpdir(), 'mesh-mosquitto-'));
  const [port, tlsPort, webSocketPort] = await Promise.all([freePort(), freePort(), freePort()]);
  await writeFile(
    join(home, 'mosquitto.conf'),
    await configuration(home, settings, port, tlsPort, webSocketPort),
  );
  const listening = [port];
  if (settings.tls !== undefined) listening.push(tlsPort);
  if (settings.webSockets === true) listening.push(webSocketPort);
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const started = spawn(program, ['-c', join(home, 'mosquitto.conf')], { stdio: 'ignore' });
    child = started;
    await eventually(() => {
      if (started.exitCode !== null) throw new Error(`mosquitto ended at once (${started.exitCode})`);
      return Promise.all(listening.map(answers)).then((all) => all.every(Boolean));
    }, 'mosquitto listens');
  };
  const end = (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null)
      return Promise.resolve();
    return new Promise((resolve) => {
      ending.once('exit', () => resolve());
      ending.kill(signal);
    });
  };
  await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    tlsPort,
    webSocketPort,
    get pid() {
      return child?.pid ?? 0;
    },
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGTERM');
      await start();
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async stop() {
      child?.kill('SIGCONT');
      await end('SIGKILL');
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function configuration(
  home: string,
  settings: MosquittoSettings,
  port: number,
  tlsPort: number,
  webSocketPort: number,
): Promise<string> {
  const lines = [`user ${userInfo().username}`, `listener ${port} 127.0.0.1`];
  if (settings.tls !== undefined) {
    await writeFile(join(home, 'key.pem'), settings.tls.key);
    await writeFile(join(home, 'cert.pem'), settings.tls.cert);
    lines.push(`listener ${tlsPort} 127.0.0.1`, ...certificate(home));
  }
  if (settings.webSockets === true) {
    lines.push(`listener ${webSocketPort} 127.0.0.1`, 'protocol websockets');
    if (settings.tls !== undefined) lines.push(...certificate(home));
  }
  if (settings.logins === undefined) lines.push('allow_anonymous true');
  else {
    const file = join(home, 'passwords');
    await writeFile(file, '', { mode: 0o600 });
    for (const [name, password] of Object.entries(settings.logins)) {
      execFileSync('mosquitto_passwd', ['-b', file, name, password]);
    }
    lines.push('allow_anonymous false', `password_file ${file}`);
  }
  if (settings.acl !== undefined) {
    await writeFile(join(home, 'acl'), `${settings.acl.join('\n')}\n`, { mode: 0o600 });
    lines.push(`acl_file ${join(home, 'acl')}`);
  }
  if (settings.persistence === true) {
    // Every change is written at once, so that a kill loses nothing that was acknowledged.
    lines.push('persistence true', `persistence_location ${home}/`, 'autosave_on_changes true');
    lines.push('autosave_interval 1');
  } else lines.push('persistence false');
  return `${[...lines, ...(settings.extra ?? [])].join('\n')}\n`;
}

const certificate = (home: string): string[] => [
  `keyfile ${join(home, 'key.pem')}`,
  `certfile ${join(home, 'cert.pem')}`,
];

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
