import { describe, expect, it } from 'vitest';
import { consume } from '../../../src/drivers/vodozemac/guard.ts';

interface Counted {
  freed: number;
  free(): void;
}

const counted = (): Counted => ({
  freed: 0,
  free() {
    this.freed++;
  },
});

const failing = (error: Error) => (): never => {
  throw error;
};

describe('an object that the engine made for one answer', () => {
  it('is freed once it has been read', () => {
    const raw = counted();
    expect(consume(raw, () => raw.freed)).toBe(0);
    expect(raw.freed).toBe(1);
  });

  it('is freed, too, where reading it fails', () => {
    const raw = counted();
    const error = new Error('refused');
    expect(() => consume(raw, failing(error))).toThrow(error);
    expect(raw.freed).toBe(1);
  });

  it('is left alone after a trap, which stays the error that is seen', () => {
    const raw = counted();
    const trap = new RangeError('Maximum call stack size exceeded');
    expect(() => consume(raw, failing(trap))).toThrow(trap);
    expect(raw.freed).toBe(0);
  });
});
