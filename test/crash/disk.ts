/**
 * The disk that one device has for itself, which can run full and become read-only. Root mounts a small one in memory
 * for it. Anybody else has only what a process can be denied: files above a size, and new files in its directories;
 * what is open already can then be written to.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DiskState } from './verdict.ts';

const run = promisify(execFile);
const ROOM = 512 * 1024 * 1024;

export interface Disk {
  /** Where the device's home is to be. */
  readonly path: string;
  /** Words that have to stand before a program which is to run on this disk as it is now. */
  readonly through: readonly string[];
  /** From now on about `left` more bytes fit. `pids` are the processes that work on it already. */
  fill(left: number, pids: readonly number[]): Promise<void>;
  /** To be called while no process works on it; throws where one does. */
  makeReadOnly(): Promise<void>;
  /** Everything is well again. */
  mend(pids: readonly number[]): Promise<void>;
  /** The worst that it was at any time since then, a moment of `performance.now()`. */
  since(moment: number): DiskState;
  /** Nothing of it is left in the system; what is on it stays at its path if `keep`. */
  release(keep: boolean): Promise<void>;
}

export async function makeDisk(path: string): Promise<Disk> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const history = remembering();
  return process.geteuid?.() === 0 ? mountedDisk(path, history) : deniedDisk(path, history);
}

interface History {
  note(state: DiskState): void;
  since: Disk['since'];
}

/** How long a process may have been told of what is over. */
const AFTERMATH = 100;

function remembering(): History {
  const times: { readonly state: DiskState; readonly from: number; to: number }[] = [];
  return {
    note(state) {
      const now = performance.now();
      const last = times.at(-1);
      if (last !== undefined) last.to = Math.min(last.to, now + AFTERMATH);
      times.push({ state, from: now, to: Number.POSITIVE_INFINITY });
    },
    since(moment) {
      const states = new Set(times.filter(({ to }) => to >= moment).map(({ state }) => state));
      return states.has('full') ? 'full' : states.has('read-only') ? 'read-only' : 'sound';
    },
  };
}

async function mountedDisk(path: string, { note, since }: History): Promise<Disk> {
  const mount = (options: string): Promise<unknown> => run('mount', ['-o', options, path]);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${ROOM},mode=700,nr_inodes=0`, 'tmpfs', path]);
  return {
    path,
    through: [],
    async fill(left) {
      note('full');
      for (let tries = 0; ; tries++) {
        const { blocks, bfree, bsize } = await statfs(path);
        try {
          return void (await mount(`remount,size=${(blocks - bfree) * bsize + left}`));
        } catch (error) {
          // It has grown beyond that meanwhile.
          if (tries === 20) throw error;
        }
      }
    },
    async makeReadOnly() {
      await mount('remount,ro');
      note('read-only');
    },
    async mend() {
      await mount(`remount,rw,size=${ROOM}`);
      note('sound');
    },
    since,
    async release(keep) {
      const aside = `${path}.kept`;
      if (keep) await cp(path, aside, { recursive: true, filter: (name) => !name.endsWith('/socket') });
      await run('umount', ['--lazy', path]);
      if (!keep) return;
      await rm(path, { recursive: true });
      await cp(aside, path, { recursive: true });
      await rm(aside, { recursive: true });
    },
  };
}

/** Below this Level's own files can hardly be written. */
const LEAST_FILE = 4096;

function deniedDisk(path: string, { note, since }: History): Disk {
  let through: readonly string[] = [];
  const limit = (pids: readonly number[], size: string): Promise<unknown> =>
    // One that has ended in between needs no limit.
    Promise.all(
      pids.map((pid) => run('prlimit', ['--pid', String(pid), `--fsize=${size}:`]).catch(() => undefined)),
    );
  return {
    path,
    get through() {
      return through;
    },
    async fill(left, pids) {
      note('full');
      const size = Math.max(LEAST_FILE, left);
      through = ['prlimit', `--fsize=${size}:`];
      await limit(pids, String(size));
    },
    async makeReadOnly() {
      await chmodAll(path, 0o500);
      note('read-only');
    },
    async mend(pids) {
      through = [];
      await limit(pids, 'unlimited');
      await chmodAll(path, 0o700);
      note('sound');
    },
    since,
    release: async () => undefined,
  };
}

async function chmodAll(path: string, mode: number): Promise<void> {
  await chmod(path, mode);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await chmodAll(join(path, entry.name), mode);
  }
}
