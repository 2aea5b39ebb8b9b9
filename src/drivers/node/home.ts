/**
 * The data directory of a device:
 *
 *     header    who can unlock it (adapters/keystore/header.ts)
 *     anchor    how far it has come (adapters/keystore/anchor.ts)
 *     db/       Level's own files
 *     bulk/     large values, there once there was one (drivers/level/bulk-key-value.ts)
 *     lock      the process that has it open, as long as it does
 *     socket    where that process is talked to (drivers/node/local-socket.ts)
 *     creating  there while a store is being made, so that a half-made one is known for what it is
 *     *.new, lock.PID, lock.PID.stale, db.before, db.failed    left-overs of an interruption
 *
 * All of it is the person's alone: 0700 and 0600, owned by the user, no symbolic links.
 */
import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../../entities/errors.ts';
import { errorCode, writeFailure } from './durable-file.ts';

const OTHERS = 0o077;
/** What a home holds, as above. */
const OURS =
  /^(?:header|anchor|lock(?:\.\d+(?:\.stale)?)?|creating|socket|bulk|db(?:\.before|\.failed)?|.*\.new)$/;

export interface Home {
  readonly path: string;
  readonly header: string;
  readonly anchor: string;
  readonly database: string;
  readonly bulk: string;
  readonly lock: string;
  readonly creating: string;
}

export function homeAt(path: string): Home {
  const at = (name: string) => join(path, name);
  return {
    path,
    header: at('header'),
    anchor: at('anchor'),
    database: at('db'),
    bulk: at('bulk'),
    lock: at('lock'),
    creating: at('creating'),
  };
}

/**
 * Everything this process makes from now on is for its owner only: Level asks for 0644. Has to run in the main
 * thread; a worker cannot change the mask and is told so by Node.
 */
export function closeToOthers(): void {
  if ((process.umask() & OTHERS) !== OTHERS) process.umask(OTHERS);
}

/**
 * Deletes what lies in the data directory, the header first: without it nothing else in there can be opened. What
 * a disk keeps of deleted files is beyond reach; without the unlock secret it says nothing.
 */
export async function wipeHome(home: Home): Promise<void> {
  await rm(home.header, { force: true });
  for (const name of await readdir(home.path)) {
    if (OURS.test(name)) await rm(join(home.path, name), { recursive: true, force: true });
  }
}

/** Makes the directory where there is none, and checks it where there is one. */
export async function makeHome(home: Home): Promise<void> {
  try {
    const made = await mkdir(home.path, { recursive: true, mode: 0o700 });
    // The mode above is subject to the umask of the day, and a parent's default ACL.
    if (made !== undefined) await chmod(home.path, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw writeFailure(error);
  }
  await checkHome(home);
}

/** Throws `store-symlink`, `store-foreign-owner` or `store-permissions` for the first thing that is not right. */
export async function checkHome(home: Home): Promise<void> {
  if (!(await exists(home.path))) throw new MeshError('store-not-initialised', { home: home.path });
  await checkAll(home.path);
}

async function checkAll(path: string): Promise<void> {
  if (!(await checkOne(path))) return;
  for (const name of (await readdir(path)).sort()) await checkAll(join(path, name));
}

export const exists = async (path: string): Promise<boolean> => (await statIfPresent(path)) !== undefined;

async function statIfPresent(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new MeshError(
      'store-damaged',
      { detail: `${path} cannot be looked at (${errorCode(error)})` },
      error,
    );
  }
}

/** True for a directory. */
async function checkOne(path: string): Promise<boolean> {
  const found = await statIfPresent(path);
  // Level clears files away while another process has it open.
  if (found === undefined) return false;
  if (found.isSymbolicLink()) throw new MeshError('store-symlink', { path });
  if (found.uid !== process.geteuid?.()) throw new MeshError('store-foreign-owner', { path });
  const directory = found.isDirectory();
  if (!directory && !found.isFile() && !found.isSocket()) {
    throw new MeshError('store-damaged', { detail: `${path} is neither a file nor a directory` });
  }
  if ((found.mode & OTHERS) !== 0) {
    const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
    throw new MeshError('store-permissions', { path, mode, wanted: directory ? '700' : '600' });
  }
  return directory;
}
