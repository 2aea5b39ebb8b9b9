/**
 * Copies of what callers hand over, which may change it afterwards. Small ones are laid side by side: memory of its own
 * costs more for a small payload than all else that is done to it until it is sent.
 */
const SIDE_BY_SIDE = 4096;
const ROOM = 64 * 1024;

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
