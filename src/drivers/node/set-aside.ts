/**
 * Level rewrites its files on opening, and drops what it cannot read while doing so. A store that turns out to
 * be damaged shall be left as it was found: so before Level is let in, its directory is set aside. Tables never
 * change once written and are hard-linked; the few small files that do change are copied. The segments beside the
 * database need no copy: opening does not touch them, and deletes none that the database as it was needs.
 *
 * `db.before` lies beside `db` until the opening has proved good; `db.failed` for the moment of putting it back.
 */
import { constants, copyFile, link, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isWholeTable } from '../level/table-check.ts';
import { syncDirectory, writeFailure } from './durable-file.ts';
import { exists, type Home } from './home.ts';

const NOT_DATA = new Set(['LOCK', 'LOG', 'LOG.old']);
const TABLE = /\.(ldb|sst)$/;
const all = { recursive: true, force: true } as const;

const beforeOf = (home: Home) => `${home.database}.before`;
const failedOf = (home: Home) => `${home.database}.failed`;

/** Ends what an interruption left undone. To be called before anything is read. */
export async function finishPuttingBack(home: Home): Promise<void> {
  if (!(await exists(home.database)) && (await exists(failedOf(home))))
    await rename(beforeOf(home), home.database);
  await rm(failedOf(home), all);
}

/**
 * Besides, tables that are not whole are taken out of Level's sight: it would not survive reading them. Where
 * one matters, Level finds it missing and says so; an unfinished one from before a crash matters to nobody.
 */
export async function setAside(home: Home): Promise<void> {
  const before = beforeOf(home);
  try {
    await rm(before, all);
    await mkdir(before, { mode: 0o700 });
    for (const name of await readdir(home.database)) {
      const path = join(home.database, name);
      if (!NOT_DATA.has(name)) await keep(path, join(before, name));
      if (TABLE.test(name) && !isWholeTable(await readFile(path))) await rm(path);
    }
  } catch (error) {
    throw writeFailure(error);
  }
}

async function keep(from: string, to: string): Promise<void> {
  if (TABLE.test(from)) {
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
