/**
 * A database that has its large values beside it, in files that are only appended to. Level writes each value
 * into its log, then into a table, then into others whenever it compacts; for payloads of 64 KiB which live for
 * a second that is most of what a busy device does. Here such a value is written once, and the database below
 * holds where it lies.
 *
 * - A write appends its large values, makes them durable, and only then writes the batch with their pointers. So a
 *   pointer always points at what is there; what was appended without a pointer is dead bytes.
 * - A segment that holds nothing wanted is deleted once the batch which made it so is durable. Opening deletes
 *   nothing; what a process that died left over goes with the first write.
 * - A full segment of which less than a quarter is wanted gives itself back, unless it is one of the two youngest
 *   such: what is wanted moves to where the writing is, a bounded amount with each write, in the same batch. Moving
 *   one byte frees at least three dead ones, and a byte that a caller wrote dies once; so all moving together is at
 *   most a third of what callers wrote. Once it is done the files hold at most four times what is wanted, and three
 *   segments.
 *
 * The values have no checksum here: whoever needs to know that they are his seals them, as the keystore does. What
 * is missing or cut short reads as missing.
 */
import type { Entry, KeyValue, Write } from '../../adapters/keystore/key-value.ts';
import { BulkIndex } from './bulk-index.ts';
import {
  decodePlace,
  encodePlace,
  liesAmongPointers,
  type Place,
  POINTER_PREFIX,
  pointedAt,
  pointerName,
} from './bulk-place.ts';
import { type Run, SegmentFiles } from './segment-files.ts';

/** Of this size a value is large: a record of the mesh's own books is below, a payload worth the name is above. */
export const LARGE = 16 * 1024;
/**
 * The append costs a flush of its own, whatever its size, which is about what Level's handling of so many bytes
 * costs. So the large values of a batch go into a segment only if they come to this much together.
 */
export const WORTH_A_FLUSH = 64 * 1024;
/** So much is moved with a write, or as much as the write itself brings. */
const MOVED_PER_WRITE = 256 * 1024;

/** Puts `directory`, which need not be there, beside a database that is open. Changes neither. */
export async function withBulk(below: KeyValue, directory: string): Promise<KeyValue> {
  const files = new SegmentFiles(directory);
  const places: [string, Place][] = [];
  for await (const { name, value } of below.entries(POINTER_PREFIX)) {
    places.push([keyOf(pointedAt(name)), decodePlace(value)]);
  }
  const bulk = new BulkKeyValue(below, files, new BulkIndex(await files.sizes(), places));
  return {
    get: (name) => bulk.get(name),
    getMany: (names) => bulk.getMany(names),
    entries: (prefix) => bulk.entries(prefix),
    write: (batch) => bulk.write(batch),
    close: () => bulk.close(),
  };
}

/** Names as text, one character for each byte, because bytes are no keys of a map. */
const keyOf = (name: Uint8Array): string =>
  Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
const nameOf = (key: string): Uint8Array => Uint8Array.from(Buffer.from(key, 'latin1'));

class BulkKeyValue implements KeyValue {
  readonly #below: KeyValue;
  readonly #files: SegmentFiles;
  readonly #index: BulkIndex;
  /** Settles, never with an error, when all writes so far have ended. */
  #written: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(below: KeyValue, files: SegmentFiles, index: BulkIndex) {
    this.#below = below;
    this.#files = files;
    this.#index = index;
  }

  async get(name: Uint8Array): Promise<Uint8Array | undefined> {
    const key = keyOf(name);
    for (;;) {
      const place = this.#index.find(key);
      if (place !== undefined) {
        const value = await this.#read(place);
        // Where it has moved meanwhile its old segment may be gone.
        if (value !== undefined || this.#index.find(key) === place) return value;
      } else {
        const value = liesAmongPointers(name) ? undefined : await this.#below.get(name);
        if (value !== undefined) return value;
        // A write under way may have taken it out of the database just now, and into a segment.
        await this.#written;
        if (this.#index.find(key) === undefined) return undefined;
      }
    }
  }

  async #read(place: Place): Promise<Uint8Array | undefined> {
    return this.#index.holds(place) ? this.#files.read(place) : undefined;
  }

  async getMany(names: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const small = names.filter((name) => !liesAmongPointers(name) && !this.#index.find(keyOf(name)));
    const found = await this.#below.getMany(small);
    const inDatabase = new Map(small.map((name, i) => [name, found[i]]));
    const values: (Uint8Array | undefined)[] = [];
    for (const name of names) values.push(inDatabase.get(name) ?? (await this.get(name)));
    return values;
  }

  async *entries(prefix: Uint8Array): AsyncGenerator<Entry> {
    await this.#untilQuiet();
    // The database below looks at itself when its first entry is asked for, which is in this same turn: what
    // moves between the two from now on is seen once.
    const large = this.#index.beginningWith(keyOf(prefix));
    if (!liesAmongPointers(prefix)) yield* this.#below.entries(prefix);
    for (const key of large) {
      const name = nameOf(key);
      const value = await this.get(name);
      if (value !== undefined) yield { name, value };
    }
  }

  async #untilQuiet(): Promise<void> {
    let written: Promise<void>;
    do {
      written = this.#written;
      await written;
    } while (written !== this.#written);
  }

  /** One at a time, and none after one that failed: it is not known what the database has kept of that one. */
  write(batch: readonly Write[]): Promise<void> {
    const done = this.#written.then(() => this.#write(batch));
    this.#written = done.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    return done;
  }

  async #write(batch: readonly Write[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const writes = lastOfEach(batch);
    const large = largeOf(writes);
    await this.#addMoving(large, writes);
    const places = await this.#append(large);
    await this.#below.write(this.#withPointers(writes, places));

    for (const key of writes.keys()) this.#index.set(key, places.get(key));
    for (const [key, place] of places) this.#index.set(key, place);
    for (const segment of this.#index.empty()) {
      await this.#files.remove(segment);
      this.#index.forget(segment);
    }
  }

  async #addMoving(large: Map<string, Uint8Array>, writes: ReadonlyMap<string, Write>): Promise<void> {
    const most = Math.max(MOVED_PER_WRITE, bytesOf(large));
    let moved = 0;
    for (const [key, place] of this.#index.carryable()) {
      if (writes.has(key)) continue;
      if (moved > 0 && moved + place.length > most) break;
      // That it cannot be read is for those to learn who ask for it.
      const value = await this.#read(place).catch(() => undefined);
      if (value === undefined) {
        this.#index.leave(place.segment);
        continue;
      }
      large.set(key, value);
      moved += value.length;
    }
  }

  async #append(values: ReadonlyMap<string, Uint8Array>): Promise<ReadonlyMap<string, Place>> {
    const places = new Map<string, Place>();
    const runs: Run[] = [];
    for (const [key, value] of values) {
      const place = this.#index.reserve(value.length);
      places.set(key, place);
      const run = runs.at(-1);
      if (run?.segment === place.segment) run.values.push(value);
      else runs.push({ segment: place.segment, offset: place.offset, values: [value] });
    }
    for (const run of runs) await this.#files.append(run);
    return places;
  }

  /** A name has a value or a pointer, never both. */
  #withPointers(writes: ReadonlyMap<string, Write>, places: ReadonlyMap<string, Place>): Write[] {
    const batch: Write[] = [];
    for (const [key, write] of writes) {
      const { name } = write;
      const hadPointer = this.#index.find(key) !== undefined;
      if (places.has(key)) {
        if (!hadPointer && !liesAmongPointers(name)) batch.push({ name, remove: true });
      } else {
        if (hadPointer) batch.push({ name: pointerName(name), remove: true });
        if ('put' in write || !(hadPointer || liesAmongPointers(name))) batch.push(write);
      }
    }
    for (const [key, place] of places) {
      batch.push({ name: pointerName(nameOf(key)), put: encodePlace(place) });
    }
    return batch;
  }

  async close(): Promise<void> {
    await this.#written;
    try {
      await this.#files.close();
    } finally {
      await this.#below.close();
    }
  }
}

/** What counts of a batch that may name a record more than once. */
function lastOfEach(batch: readonly Write[]): ReadonlyMap<string, Write> {
  return new Map(batch.map((write) => [keyOf(write.name), write]));
}

/** Those values of a batch that go into a segment. */
function largeOf(writes: ReadonlyMap<string, Write>): Map<string, Uint8Array> {
  const large = new Map<string, Uint8Array>();
  const homeless = new Map<string, Uint8Array>();
  for (const [key, write] of writes) {
    if (!('put' in write)) continue;
    if (write.put.length >= LARGE) large.set(key, write.put);
    if (liesAmongPointers(write.name)) homeless.set(key, write.put);
  }
  return bytesOf(large) >= WORTH_A_FLUSH ? new Map([...large, ...homeless]) : homeless;
}

function bytesOf(values: ReadonlyMap<string, Uint8Array>): number {
  let bytes = 0;
  for (const { length } of values.values()) bytes += length;
  return bytes;
}
