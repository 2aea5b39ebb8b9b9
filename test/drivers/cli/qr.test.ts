import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { drawQr } from '../../../src/drivers/cli/qr.ts';

const require = createRequire(import.meta.url);
const Encoder = require('qrcode-terminal/vendor/QRCode');
const { L } = require('qrcode-terminal/vendor/QRCode/QRErrorCorrectLevel');

const BLACK_ON_WHITE = '\u001b[30;47;107m';
const RESET = '\u001b[0m';

/** The modules of the code itself, true for black. */
function encoded(text: string): boolean[][] {
  const code = new Encoder(-1, L);
  code.addData(text);
  code.make();
  return code.modules;
}

/** What a camera sees: each line is two rows of modules, and every cell has colours of its own. */
function seen(text: string): boolean[][] {
  const rows: boolean[][] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const inside = line.slice(BLACK_ON_WHITE.length, -RESET.length);
    const isColoured = line === BLACK_ON_WHITE + inside + RESET && /^[ █▀▄]+$/.test(inside);
    if (!isColoured) throw new Error(`not all of it black on white: ${JSON.stringify(line)}`);
    const cells = [...inside];
    rows.push(cells.map((cell) => cell === '█' || cell === '▀'));
    rows.push(cells.map((cell) => cell === '█' || cell === '▄'));
  }
  return rows;
}

const link = (length: number): string => `mesh://join#${'aB3-_'.repeat(100).slice(0, length - 12)}`;

describe('the code of an invite', () => {
  it.each([219, 250, 270, 340])('shows the modules of a link of %i characters, black on white', (length) => {
    const { text } = drawQr(link(length));
    const modules = encoded(link(length));
    const rows = seen(text);
    const inside = rows.slice(2, 2 + modules.length).map((row) => row.slice(2, 2 + modules.length));
    expect(inside).toEqual(modules);
    // Finder patterns at three corners: what is compared is a code, and the right way up.
    for (const [y, x] of [
      [0, 0],
      [0, modules.length - 7],
      [modules.length - 7, 0],
    ] as const) {
      const edge = inside[y]?.slice(x, x + 7);
      expect(edge).toEqual(Array(7).fill(true));
      expect(inside[y + 1]?.slice(x, x + 7)).toEqual([true, false, false, false, false, false, true]);
    }
  });

  it('has two modules of white or more on every side', () => {
    const { text } = drawQr(link(250));
    const size = encoded(link(250)).length;
    const rows = seen(text);
    for (const [y, row] of rows.entries()) {
      const isInside = y >= 2 && y < 2 + size;
      for (const [x, black] of row.entries()) {
        if (black) expect([isInside, x >= 2 && x < 2 + size], `${x},${y}`).toEqual([true, true]);
      }
    }
    expect(rows.length).toBeGreaterThanOrEqual(size + 4);
    expect(rows[0]?.length).toBe(size + 4);
  });

  it('fits a terminal of 80 by 40 for every link that an invite should have, and says how large it is', () => {
    for (const length of [200, 250, 270, 340]) {
      const { columns, rows, text } = drawQr(link(length));
      expect([columns <= 80, rows < 40], `${length}`).toEqual([true, true]);
      const lines = text.split('\n').slice(0, -1);
      expect(lines).toHaveLength(rows);
      for (const line of lines) {
        expect(line.length - BLACK_ON_WHITE.length - RESET.length).toBe(columns);
      }
    }
  });
});
