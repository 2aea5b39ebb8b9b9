import { describe, expect, it } from 'vitest';
import { refusing, refusingKey, unpickling, verifies } from '../../../src/drivers/vodozemac/refusals.ts';

describe('an error of the engine that has no meaning to us', () => {
  const news = new Error('attempted to take ownership of Rust value while it was borrowed');
  const broken = (): never => {
    throw news;
  };

  it('is thrown on as the bug that it is', () => {
    for (const passage of [refusing, refusingKey, unpickling, verifies])
      expect(() => passage(broken)).toThrow(news);
  });

  it('is a bug, too, where the meaning belongs to another call', () => {
    const wrongPlace = (): never => {
      throw new Error('The message gap was too big, got 2001, max allowed 2000');
    };
    expect(refusing(wrongPlace)).toEqual({ refused: 'olm-gap-too-large' });
    for (const passage of [refusingKey, unpickling, verifies])
      expect(() => passage(wrongPlace)).toThrow(Error);
  });
});
