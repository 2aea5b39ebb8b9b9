import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameLines } from '../../../src/adapters/rpc/line-framing.ts';
import { concat } from '../../../src/entities/bytes.ts';
import { fromUtf8, utf8 } from '../../../src/entities/text.ts';

function framed(most: number, chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const feed = frameLines(most, {
    line: (bytes) => seen.push(fromUtf8(bytes) ?? '?'),
    tooLong: () => seen.push('too long'),
  });
  for (const chunk of chunks) feed(chunk);
  return seen;
}

test('lines are the same however the bytes were cut', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !/[\r\n]/.test(text));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat({ max: 20 })), (lines, cuts) => {
      const whole = utf8(lines.map((text) => `${text}\n`).join(''));
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(whole.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(whole.subarray(at));
      expect(framed(1000, chunks)).toEqual(lines.filter((text) => text !== ''));
    }),
  );
});

test('a line at the cap comes, one byte more does not, and what follows is read again', () => {
  const chunks = [utf8('12345\n123456\n12\n')];
  expect(framed(5, chunks)).toEqual(['12345', 'too long', '12']);
});

test('a line that never ends is told of once and not kept', () => {
  const piece = utf8('x'.repeat(1000));
  const pieces = Array.from({ length: 50 }, () => piece);
  expect(framed(5000, [...pieces, utf8('\nok\n')])).toEqual(['too long', 'ok']);
});

test('the memory of a chunk may be used again', () => {
  const chunk = utf8('abc');
  const seen: string[] = [];
  const feed = frameLines(10, {
    line: (bytes) => seen.push(fromUtf8(bytes) ?? '?'),
    tooLong: () => seen.push('too long'),
  });
  feed(chunk);
  chunk.fill(0x7a);
  feed(utf8('\r\n'));
  expect(seen).toEqual(['abc']);
  expect(concat(chunk)).toEqual(utf8('zzz'));
});
