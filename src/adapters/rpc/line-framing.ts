/**
 * Cuts a stream of bytes into lines. A line that is too long is told of once, at the moment it is known to be,
 * and is thrown away up to its end without being kept.
 */
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface LineEvents {
  line(bytes: Uint8Array): void;
  tooLong(): void;
}

/** Returns what takes the bytes as they come. */
export function frameLines(most: number, events: LineEvents): (chunk: Uint8Array) => void {
  let pieces: Uint8Array[] = [];
  let length = 0;
  let skipping = false;

  const finish = (): void => {
    const whole = joined(pieces);
    pieces = [];
    length = 0;
    skipping = false;
    const line = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole;
    if (line.length > 0) events.line(line);
  };

  return (chunk) => {
    let from = 0;
    while (from < chunk.length) {
      const found = chunk.indexOf(LINE_FEED, from);
      const end = found < 0 ? chunk.length : found;
      length += end - from;
      if (!skipping && length > most) {
        skipping = true;
        pieces = [];
        events.tooLong();
      }
      // A copy: the platform may use the memory of the chunk again.
      if (!skipping && end > from) pieces.push(new Uint8Array(chunk.subarray(from, end)));
      if (found < 0) return;
      finish();
      from = found + 1;
    }
  };
}

/**
 * `concat` of `entities/bytes` would do, but this file is among the few that every short command has to load,
 * and that one brings the codecs along.
 */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
