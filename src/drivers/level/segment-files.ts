/**
 * The segments as files: `bulk/000001` and so on. They are appended to at positions that the caller says, and
 * deleted as a whole; nothing in them is ever changed.
 */
import { constants, type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MeshError } from '../../entities/errors.ts';
import { errorCode, syncDirectory, writeFailure } from '../node/durable-file.ts';
import type { Place } from './bulk-place.ts';
import { SegmentReader } from './segment-reader.ts';

const fileName = (segment: number): string => String(segment).padStart(6, '0');

/** Values that lie behind one another in one segment. */
export interface Run {
  readonly segment: number;
  readonly offset: number;
  readonly values: Uint8Array[];
}

export class SegmentFiles {
  readonly #directory: string;
  readonly #reader: SegmentReader;
  #appending: { readonly segment: number; readonly file: FileHandle } | undefined;
  #directoryIsDurable = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#reader = new SegmentReader((segment) => this.#path(segment));
  }

  #path(segment: number): string {
    return join(this.#directory, fileName(segment));
  }

  /** How large each of the segments is that there are. Throws `store-damaged`. */
  async sizes(): Promise<ReadonlyMap<number, number>> {
    const sizes = new Map<number, number>();
    try {
      for (const name of await readdir(this.#directory)) {
        const segment = Number(name);
        if (name !== fileName(segment) || !(segment > 0)) continue;
        sizes.set(segment, (await stat(join(this.#directory, name))).size);
      }
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'ENOENT') {
        throw new MeshError('store-damaged', { detail: `its segments cannot be listed (${code})` }, error);
      }
    }
    return sizes;
  }

  /** Durable once resolved. Throws `store-full` or `store-write-failed`. */
  async append({ segment, offset, values }: Run): Promise<void> {
    try {
      const isNew = this.#appending?.segment !== segment;
      const file = await this.#opened(segment);
      await writeAll(file, values, offset);
      await file.datasync();
      // Also where the file was there already: whoever made it may have died before its name was durable.
      if (isNew) await this.#makeNameDurable();
    } catch (error) {
      throw writeFailure(error);
    }
  }

  async #opened(segment: number): Promise<FileHandle> {
    if (this.#appending?.segment === segment) return this.#appending.file;
    await this.#appending?.file.close();
    this.#appending = undefined;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // Without O_APPEND, which would not heed positions.
    const file = await open(this.#path(segment), constants.O_WRONLY | constants.O_CREAT, 0o600);
    this.#appending = { segment, file };
    return file;
  }

  async #makeNameDurable(): Promise<void> {
    await syncDirectory(this.#directory);
    if (this.#directoryIsDurable) return;
    await syncDirectory(dirname(this.#directory));
    this.#directoryIsDurable = true;
  }

  read(place: Place): Promise<Uint8Array | undefined> {
    return this.#reader.read(place);
  }

  /** What cannot be deleted now is found without pointers when the store is opened next, and deleted then. */
  async remove(segment: number): Promise<void> {
    await rm(this.#path(segment), { force: true }).catch(() => undefined);
    await this.#reader.drop(segment);
  }

  async close(): Promise<void> {
    await this.#appending?.file.close();
    this.#appending = undefined;
    await this.#reader.close();
  }
}

/** A disk that fills up takes a part first, and says why only when it is given the rest. */
async function writeAll(file: FileHandle, values: readonly Uint8Array[], offset: number): Promise<void> {
  let rest = values;
  let at = offset;
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at);
    at += bytesWritten;
    rest = behind(rest, bytesWritten);
  }
}

function behind(values: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  return values.flatMap((value) => {
    const taken = Math.min(skip, value.length);
    skip -= taken;
    return taken < value.length ? [value.subarray(taken)] : [];
  });
}
