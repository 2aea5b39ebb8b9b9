/**
 * Looks whether a table file of LevelDB is whole. The prebuilt LevelDB verifies no checksum of a table when it
 * reads, offers no option for it, and ends the process by a failed assertion over some of the damage it then
 * meets. So every block's checksum is compared here before LevelDB is let in, and the blocks have to fill the
 * file exactly, as they do in what LevelDB writes: a handle that points elsewhere finds no block that fits.
 *
 * The format is LevelDB's doc/table_format.md.
 */
const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

export function isWholeTable(table: Uint8Array): boolean {
  const end = table.length - FOOTER_BYTES;
  if (end < 0 || !MAGIC.every((byte, i) => table[table.length - MAGIC.length + i] === byte)) return false;
  const footer = new Cursor(table.subarray(end, table.length - MAGIC.length));
  const metaindex = footer.handle();
  const index = footer.handle();
  if (metaindex === undefined || index === undefined) return false;
  const handles = [metaindex, index];
  for (const directory of [metaindex, index]) {
    const block = checkedBlock(table, directory);
    const listed = block && handlesIn(block);
    if (listed === undefined) return false;
    handles.push(...listed);
  }
  handles.sort((a, b) => a.offset - b.offset);
  let at = 0;
  for (const handle of handles) {
    if (handle.offset !== at || checkedBlock(table, handle) === undefined) return false;
    at += handle.size + TRAILER_BYTES;
  }
  return at === end;
}

/** The block's content, or `undefined` where its checksum is not right or it is compressed, which ours never are. */
function checkedBlock(table: Uint8Array, { offset, size }: BlockHandle): Uint8Array | undefined {
  const trailer = table.subarray(offset + size, offset + size + TRAILER_BYTES);
  if (trailer.length !== TRAILER_BYTES || trailer[0] !== 0) return undefined;
  const stored = new DataView(trailer.buffer, trailer.byteOffset + 1, 4).getUint32(0, true);
  const sum = crc32c(table.subarray(offset, offset + size + 1));
  const masked = (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
  return stored === masked ? table.subarray(offset, offset + size) : undefined;
}

/** The handles that an index block holds as its values. */
function handlesIn(block: Uint8Array): readonly BlockHandle[] | undefined {
  if (block.length < 4) return undefined;
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 - 4 * restarts;
  if (end < 0) return undefined;
  const cursor = new Cursor(block.subarray(0, end));
  const handles: BlockHandle[] = [];
  while (!cursor.atEnd) {
    const shared = cursor.varint();
    const rest = cursor.varint();
    const length = cursor.varint();
    if (shared === undefined || rest === undefined || length === undefined || !cursor.skip(rest))
      return undefined;
    const before = cursor.position;
    const handle = cursor.handle();
    if (handle === undefined || cursor.position - before !== length) return undefined;
    handles.push(handle);
  }
  return handles;
}

class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): number | undefined {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  handle(): BlockHandle | undefined {
    const offset = this.varint();
    const size = this.varint();
    return offset === undefined || size === undefined ? undefined : { offset, size };
  }

  skip(count: number): boolean {
    this.#at += count;
    return this.#at <= this.#bytes.length;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
  return remainder;
});

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) sum = (sum >>> 8) ^ (CRC_TABLE[(sum ^ (bytes[i] ?? 0)) & 0xff] ?? 0);
  return (sum ^ 0xffffffff) >>> 0;
}
