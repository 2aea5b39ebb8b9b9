/**
 * Which numbers of a growing sequence have been seen, in bounded space: what is remembered is a short list of
 * runs, and what the list has no room for counts as seen. So a number is never taken twice; one that arrives
 * extremely late, behind more gaps than there is room for, is refused, and its sender's resending makes it good.
 */

/** Runs of seen numbers, `[first, last]` both included, ascending, never touching. */
export type SeenNumbers = readonly (readonly [first: number, last: number])[];

export const MAX_RUNS = 64;

export const nothingSeen: SeenNumbers = [];

export function hasSeen(seen: SeenNumbers, number: number): boolean {
  for (let i = seen.length - 1; i >= 0; i--) {
    const [first, last] = seen[i] ?? [0, -1];
    if (number > last) return false;
    if (number >= first) return true;
  }
  return false;
}

/** The same with `number` seen. The oldest gap is given up where there would be too many runs. */
export function markSeen(seen: SeenNumbers, number: number): SeenNumbers {
  if (hasSeen(seen, number)) return seen;
  const next: (readonly [number, number])[] = [];
  let [first, last] = [number, number];
  let placed = false;
  for (const run of seen) {
    if (run[1] + 1 < first) next.push(run);
    else if (run[0] > last + 1) {
      if (!placed) next.push([first, last]);
      placed = true;
      next.push(run);
    } else {
      first = Math.min(first, run[0]);
      last = Math.max(last, run[1]);
    }
  }
  if (!placed) next.push([first, last]);
  while (next.length > MAX_RUNS) {
    const [oldest, second] = next;
    if (oldest === undefined || second === undefined) break;
    next.splice(0, 2, [oldest[0], second[1]]);
  }
  const [lowest, ...rest] = next;
  return next.length === MAX_RUNS && lowest !== undefined ? [[0, lowest[1]], ...rest] : next;
}

export function highestSeen(seen: SeenNumbers): number {
  return seen.at(-1)?.[1] ?? 0;
}
