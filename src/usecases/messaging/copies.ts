/**
 * Copies of what callers hand over, which may change it afterwards. Small ones are laid side by side: memory of its own
 * costs more for a small payload than all else that is done to it until it is sent. Whoever keeps one keeps its
 * neighbours too, so what is kept for long is laid beside what ends together with it.
 */
const SIDE_BY_SIDE = 4096;
const ROOM = 64 * 1024;

/** One after the other, as they come. */
export function createCopies(): (bytes: Uint8Array) => Uint8Array {
  let room = new Uint8Array(0);
  return (bytes) => {
    // Not `slice`, which in a subclass of Node's makes a view.
    if (bytes.length > SIDE_BY_SIDE) return new Uint8Array(bytes);
    if (bytes.length > room.length) room = new Uint8Array(ROOM);
    const copy = room.subarray(0, bytes.length);
    copy.set(bytes);
    room = room.subarray(bytes.length);
    return copy;
  };
}

/** All small ones in memory of their own, exactly as large as they are; a large one has that already. */
export function together(list: readonly Uint8Array[]): readonly Uint8Array[] {
  const isSmall = ({ length }: Uint8Array): boolean => length <= SIDE_BY_SIDE;
  const room = new Uint8Array(list.reduce((sum, bytes) => sum + (isSmall(bytes) ? bytes.length : 0), 0));
  let at = 0;
  return list.map((bytes) => {
    if (!isSmall(bytes)) return bytes;
    const copy = room.subarray(at, at + bytes.length);
    copy.set(bytes);
    at += bytes.length;
    return copy;
  });
}
