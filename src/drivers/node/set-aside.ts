/**
 * Level rewrites its files on opening, and drops what it cannot read while doing so. A store that turns out to
 * be damaged shall be left as it was found: so before Level is let in, its directory is set aside. Tables never
 * change once written and are hard-linked; the few small files that do change are copied.
 *
 * `db.before` lies beside `db` until the opening has proved good; `db.failed` for the moment of putting it back.
 */
import { constants, copyFile, link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeFailure } from './durable-file.ts';
import { exists, type Home } from './home.ts';

const NOT_DATA = new Set(['LOCK', 'LOG', 'LOG.old']);
const all = { recursive: true, force: true } as const;

const beforeOf = (home: Home) => `${home.database}.before`;
const failedOf = (home: Home) => `${home.database}.failed`;

/** Ends what an interruption left undone. To be called before anything is read. */
export async function finishPuttingBack(home: Home): Promise<void> {
  if (!(await exists(home.database)) && (await exists(failedOf(home))))
    await rename(beforeOf(home), home.database);
  await rm(failedOf(home), all);
}

export async function setAside(home: Home): Promise<void> {
  const before = beforeOf(home);
  try {
    await rm(before, all);
    await mkdir(before, { mode: 0o700 });
    for (const name of await readdir(home.database)) {
      if (!NOT_DATA.has(name)) await keep(join(home.database, name), join(before, name));
    }
  } catch (error) {
    throw writeFailure(error);
  }
}

async function keep(from: string, to: string): Promise<void> {
  if (/\.(ldb|sst)$/.test(from)) {
    try {
      await link(from, to);
      return;
    } catch {
      // Not every file system has links; a copy does as well.
    }
  }
  await copyFile(from, to, constants.COPYFILE_FICLONE);
}

/** The opening was good. */
export async function dropAside(home: Home): Promise<void> {
  await rm(beforeOf(home), all);
}

/** The opening failed, and Level has let go. */
export async function putBack(home: Home): Promise<void> {
  await rename(home.database, failedOf(home));
  await rename(beforeOf(home), home.database);
  await syncDirectory(home.path);
  await rm(failedOf(home), all);
}
