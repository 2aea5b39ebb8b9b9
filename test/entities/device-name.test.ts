import { describe, expect, it } from 'vitest';
import { parseDeviceName } from '../../src/entities/device-name.ts';

describe('a device name', () => {
  it('may be what people call their things', () => {
    for (const name of [
      'pi',
      "Alice's laptop",
      'Büro-PC 2',
      '寝室のパイ',
      'Телефон',
      '📱 phone',
      'a'.repeat(64),
    ]) {
      expect(parseDeviceName(name)).toHaveProperty('ok');
    }
  });

  it('is refused where it is empty or too long', () => {
    expect(parseDeviceName('')).toEqual({ refused: 'name-empty' });
    expect(parseDeviceName('a'.repeat(65))).toEqual({ refused: 'name-too-long' });
  });

  it('counts characters, not units of an encoding', () => {
    expect(parseDeviceName('📱'.repeat(64))).toHaveProperty('ok');
    expect(parseDeviceName('📱'.repeat(65))).toEqual({ refused: 'name-too-long' });
  });

  it('counts them as they are kept, where composing makes one character two', () => {
    const [letter, note] = ['\u0958', '\u{1D15E}'];
    for (const long of [letter.repeat(33), note.repeat(64)]) {
      expect(parseDeviceName(long)).toEqual({ refused: 'name-too-long' });
    }
    const name = parseDeviceName(note.repeat(21));
    expect(name).toHaveProperty('ok');
    if ('ok' in name) expect(parseDeviceName(name.ok)).toEqual(name);
  });

  const deceptive: readonly (readonly [string, string])[] = [
    ['a line break', 'a\nb'],
    ['an escape', 'a\u001b[31mb'],
    ['a null', 'a\0'],
    ['a space that is not one', 'a\u00a0b'],
    ['an em space', 'a\u2003b'],
    ['a zero-width space', 'a\u200bb'],
    ['a change of direction', 'a\u202eb'],
    ['a soft hyphen', 'a\u00adb'],
    ['a byte order mark', '\ufeffa'],
    ['a blank letter', 'a\u3164'],
    ['a space in front', ' a'],
    ['a space behind', 'a '],
    ['two spaces', 'a  b'],
    ['half a character', 'a\ud800'],
    ['a mark that stands alone', '\u0301a'],
    ['a private character', 'a\ue000'],
    ['a line separator', 'a\u2028b'],
  ];
  for (const [what, name] of deceptive) {
    it(`is refused with ${what}`, () => {
      expect(parseDeviceName(name)).toEqual({ refused: 'name-unprintable' });
    });
  }

  it('has one form for what looks the same', () => {
    expect(parseDeviceName('Bu\u0308ro')).toEqual(parseDeviceName('B\u00fcro'));
  });
});
