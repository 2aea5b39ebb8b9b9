/**
 * The file that names the process which has a home open. It is taken before anything else is touched, and gives
 * the second process a name to show. Level's own lock, which dies with its process, remains the last word.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import { MeshError } from '../../entities/errors.ts';
import { fromUtf8 } from '../../entities/text.ts';
import { errorCode, readIfPresent, writeFailure } from './durable-file.ts';
import type { Home } from './home.ts';

export interface ProcessLock {
  /** To be called while Level is still locked. A second call does nothing. */
  release(): Promise<void>;
}

/** Throws `store-in-use` where the process that the file names is alive and is still that process. */
export async function takeLock(home: Home): Promise<ProcessLock> {
  const own = `${home.lock}.${process.pid}`;
  try {
    await rm(own, { force: true });
    await writeFile(own, `${process.pid} ${began(process.pid)}\n`, { mode: 0o600, flag: 'wx' });
    // A link appears with all its content or not at all, and never in place of another.
    while (!(await linked(own, home.lock))) await removeStale(home, `${own}.stale`);
  } catch (error) {
    throw writeFailure(error);
  } finally {
    await rm(own, { force: true });
  }
  let held = true;
  return {
    release: async () => {
      if (held) await rm(home.lock, { force: true });
      held = false;
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeStale(home: Home, aside: string): Promise<void> {
  const found = await readText(home.lock);
  const holder = /^(\d{1,10}) ([^\n]*)\n$/.exec(found);
  if (holder !== null && holder[2] !== '' && began(Number(holder[1])) === holder[2]) {
    throw new MeshError('store-in-use', { home: home.path, pid: Number(holder[1]) });
  }
  try {
    await rename(home.lock, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  // Between reading and renaming somebody else may have done the same and taken the lock: then it is given back.
  if ((await readText(aside)) !== found) await linked(aside, home.lock);
  await rm(aside, { force: true });
}

async function readText(path: string): Promise<string> {
  return fromUtf8((await readIfPresent(path)) ?? new Uint8Array()) ?? '';
}

/**
 * When a process began, in whatever words the system has for it: pids are used again, a pid with its beginning
 * is not. Empty where there is no such process.
 */
function began(pid: number): string {
  try {
    if (!existsSync('/proc/self/stat')) {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'latin1' }).trim();
    }
    // The name in the second field may hold anything; the fields behind its last bracket are plain.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? '' : `${fields[19] ?? ''}`;
  } catch {
    return '';
  }
}
