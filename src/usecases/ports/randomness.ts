/** Fills a fresh array with bytes that nobody can guess. */
export type Randomness = (length: number) => Uint8Array;
