/**
 * Reads from segments, and keeps a few of them open for it. A file stays open as long as somebody reads from it,
 * so a segment that is deleted meanwhile can be read to the end.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { MeshError } from '../../entities/errors.ts';
import { errorCode } from '../node/durable-file.ts';
import type { Place } from './bulk-place.ts';

const KEPT_OPEN = 8;
/** They say nothing about the disk. */
const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOMEM'];

interface OpenSegment {
  readonly file: Promise<FileHandle>;
  readers: number;
}

export class SegmentReader {
  readonly #pathOf: (segment: number) => string;
  /** The one that was used last stands last. */
  readonly #open = new Map<number, OpenSegment>();

  constructor(pathOf: (segment: number) => string) {
    this.#pathOf = pathOf;
  }

  /** The bytes, or `undefined` where the file is missing or ends before them. Throws `store-damaged` and `store-unreadable`. */
  async read({ segment, offset, length }: Place): Promise<Uint8Array | undefined> {
    const opened = this.#borrow(segment);
    try {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await (await opened.file).read(bytes, 0, length, offset);
      return bytesRead === length ? bytes : undefined;
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return undefined;
      const why = SHORTAGES.includes(code ?? '') ? 'store-unreadable' : 'store-damaged';
      throw new MeshError(why, { detail: `segment ${segment} cannot be read (${code})` }, error);
    } finally {
      await this.#giveBack(opened);
    }
  }

  /** For a segment that is deleted, once it is. */
  async drop(segment: number): Promise<void> {
    const opened = this.#open.get(segment);
    this.#open.delete(segment);
    if (opened?.readers === 0) await closed(opened);
  }

  async close(): Promise<void> {
    for (const segment of [...this.#open.keys()]) await this.drop(segment);
  }

  #borrow(segment: number): OpenSegment {
    const opened = this.#open.get(segment) ?? { file: open(this.#pathOf(segment), 'r'), readers: 0 };
    opened.readers++;
    this.#open.delete(segment);
    this.#open.set(segment, opened);
    // What could not be opened is tried anew by whoever comes next.
    opened.file.catch(() => this.#isOpen(segment, opened) && this.#open.delete(segment));
    return opened;
  }

  async #giveBack(opened: OpenSegment): Promise<void> {
    opened.readers--;
    if (opened.readers === 0 && ![...this.#open.values()].includes(opened)) await closed(opened);
    for (const [segment, oldest] of this.#open) {
      if (this.#open.size <= KEPT_OPEN) break;
      if (oldest.readers === 0) await this.drop(segment);
    }
  }

  #isOpen(segment: number, opened: OpenSegment): boolean {
    return this.#open.get(segment) === opened;
  }
}

async function closed({ file }: OpenSegment): Promise<void> {
  try {
    await (await file).close();
  } catch {
    // It was only read from, or never opened.
  }
}
