import { describe, expect, it } from 'vitest';
import {
  decodeCheckpoint,
  decodeCommit,
  encodeCheckpoint,
  encodeCommit,
} from '../../../src/adapters/keystore/commit-chain.ts';
import { ByteReader, ByteWriter, Undecodable } from '../../../src/adapters/keystore/compact-bytes.ts';
import { concat } from '../../../src/entities/bytes.ts';

const DIGEST = new Uint8Array(32);
const EPOCH = new Uint8Array(16).fill(4);
/** A text of one letter, and what such a text is written as. */
const letter = (text: string): number[] => [1, text.charCodeAt(0)];
const bytes = (...numbers: readonly number[]): Uint8Array => concat(DIGEST, Uint8Array.from(numbers));

describe('numbers', () => {
  it('are read as they were written', () => {
    for (const number of [0, 1, 0x7f, 0x80, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const to = new ByteWriter();
      to.uint(number);
      expect(new ByteReader(to.finish()).uint()).toBe(number);
    }
  });

  it.each([
    ['in more bytes than they need', [0x80, 0]],
    ['beyond what a number holds', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['without an end', [0x80]],
  ])('are refused %s', (_, written) => {
    expect(() => new ByteReader(Uint8Array.from(written)).uint()).toThrow(Undecodable);
  });
});

describe('a commit', () => {
  const whole = bytes(2, ...letter('a'), ...letter('b'), 2, 0, ...letter('x'), 3, ...letter('y'));

  it('has one encoding', () => {
    expect(encodeCommit(decodeCommit(whole))).toEqual(whole);
  });

  it.each([
    ['a kind that no change is of', bytes(2, ...letter('a'), ...letter('b'), 1, 0, ...letter('x'))],
    ['a kind twice', bytes(2, ...letter('a'), ...letter('a'), 2, 0, ...letter('x'), 2, ...letter('y'))],
    [
      'kinds in another order',
      bytes(2, ...letter('a'), ...letter('b'), 2, 2, ...letter('x'), 0, ...letter('y')),
    ],
  ])('is refused with %s', (_, written) => {
    expect(() => decodeCommit(written)).toThrow(Undecodable);
  });
});

describe('a checkpoint', () => {
  it('that begins behind the commit that follows it is refused when that one comes', () => {
    const written = bytes(1, 7, 1, ...EPOCH, 0);
    const { directory } = decodeCheckpoint(written);
    const epochOf = { id: EPOCH, schema: 1 };
    expect(() => directory.apply({ number: 6, epoch: epochOf }, [])).toThrow(Undecodable);
    directory.apply({ number: 7, epoch: epochOf }, []);
  });

  const epoch = (from: number): number[] => [from, 1, ...EPOCH];
  const kind = (name: string, ...keys: readonly (readonly number[])[]): number[] => [
    ...letter(name),
    keys.length,
    ...keys.flat(),
  ];
  const key = (name: string, number: number): number[] => [...letter(name), number];

  it('has one encoding', () => {
    const whole = bytes(2, ...epoch(1), ...epoch(3), 1, ...kind('a', key('x', 1), key('y', 3)));
    expect(encodeCheckpoint(decodeCheckpoint(whole))).toEqual(whole);
  });

  it.each([
    ['epochs out of order', bytes(2, ...epoch(3), ...epoch(1), 1, ...kind('a', key('x', 3)))],
    ['two epochs from one commit on', bytes(2, ...epoch(1), ...epoch(1), 1, ...kind('a', key('x', 1)))],
    ['a kind twice', bytes(1, ...epoch(1), 2, ...kind('a', key('x', 1)), ...kind('a', key('y', 1)))],
    ['a key twice', bytes(1, ...epoch(1), 1, ...kind('a', key('x', 1), key('x', 2)))],
    ['a kind of nothing', bytes(1, ...epoch(1), 1, ...kind('a'))],
  ])('is refused with %s', (_, written) => {
    expect(() => decodeCheckpoint(written)).toThrow(Undecodable);
  });
});
