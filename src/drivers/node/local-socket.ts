/**
 * Where a device is talked to on this machine. The socket's place follows from the home alone, never from the
 * environment: a cron job, a login over SSH and a service have to find the same one. It lies in the home, which
 * is 0700; where that path is too long for a socket, in a directory of the user's own under /tmp.
 */
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Channel } from '../../adapters/rpc/channel.ts';
import { MeshError } from '../../entities/errors.ts';

/** The field is 108 bytes on Linux and 104 elsewhere, the zero at its end included. */
const LONGEST_PATH = 103;
const OTHERS = 0o077;

export function socketPath(home: string): string {
  const whole = resolve(home);
  if (process.platform === 'win32') return `\\\\.\\pipe\\trusted-mesh-${shortened(whole)}`;
  const inside = join(whole, 'socket');
  if (Buffer.byteLength(inside) <= LONGEST_PATH) return inside;
  return join('/tmp', `trusted-mesh-${process.geteuid?.() ?? 0}`, shortened(whole));
}

/** Most homes never need it, and loading Node's cryptography is a good part of what a short command costs. */
const shortened = (path: string): string =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(path).digest('hex').slice(0, 32);

export interface LocalServer {
  /** No further connections, and no socket any more; those there are stay. */
  close(): Promise<void>;
}

/** To be called by whoever holds the store: what lies in the socket's place is then a left-over. */
export async function serveSocket(home: string, accept: (channel: Channel) => void): Promise<LocalServer> {
  const path = socketPath(home);
  const pipe = process.platform === 'win32';
  if (!pipe) {
    await makePlace(path, home);
    await rm(path, { force: true });
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(channelOver(socket)));
  await listening(server, path);
  if (!pipe) await chmod(path, 0o600);
  // Later errors concern single connections that could not be accepted, when descriptors run out.
  server.on('error', () => undefined);
  return {
    close: () =>
      new Promise((resolve) => {
        // Its callback waits for the connections, which may go on for a while; the socket is gone before.
        server.close();
        resolve();
      }),
  };
}

/** `undefined` where nobody serves this home. Throws `socket-unsafe` where somebody else might. */
export async function connectSocket(home: string): Promise<Channel | undefined> {
  const path = socketPath(home);
  if (isElsewhere(path, home) && !(await checkPlace(dirname(path)))) return undefined;
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', () => resolve(undefined));
    socket.once('connect', () => resolve(channelOver(socket)));
  });
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new MeshError('socket-unsafe', { path, detail: error.code ?? 'unknown' }, error));
    });
    server.listen(path, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

/** The home itself is checked with the store. */
const isElsewhere = (path: string, home: string): boolean =>
  process.platform !== 'win32' && dirname(path) !== resolve(home);

async function makePlace(path: string, home: string): Promise<void> {
  if (!isElsewhere(path, home)) return;
  const directory = dirname(path);
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw unsafe(directory, error.code ?? 'unknown');
  });
  await checkPlace(directory);
}

/** False where there is no such directory. */
async function checkPlace(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined) return false;
  if (!found.isDirectory()) throw unsafe(directory, 'it is not a directory');
  if (found.uid !== process.geteuid?.()) throw unsafe(directory, 'it belongs to another user');
  if ((found.mode & OTHERS) !== 0) throw unsafe(directory, 'it is open to others');
  return true;
}

const unsafe = (path: string, detail: string): MeshError => new MeshError('socket-unsafe', { path, detail });

function channelOver(socket: Socket): Channel {
  socket.on('error', () => undefined);
  let gathering = false;
  return {
    /** What is written in one turn, as the answers to all that one commit holds, goes to the system at once. */
    write(bytes) {
      if (!socket.writable) return;
      if (!gathering) {
        gathering = true;
        socket.cork();
        process.nextTick(() => {
          gathering = false;
          socket.uncork();
        });
      }
      socket.write(bytes);
    },
    get unsent() {
      return socket.writableLength;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    attach({ data, finished, closed }) {
      socket.on('data', data);
      socket.once('end', finished);
      socket.once('close', closed);
    },
  };
}
