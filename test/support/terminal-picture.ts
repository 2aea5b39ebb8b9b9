/**
 * What a terminal shows, as a picture that a camera could have taken: cells in their colours, drawn with the
 * blocks that codes are made of. Knows what our output uses, and refuses the rest instead of guessing.
 */

/** Red, green and blue are alike in all that is drawn here, so a colour is its brightness, 0 to 255. */
export interface Palette {
  readonly foreground: number;
  readonly background: number;
  /** The eight colours, by their numbers, as far as they are grey. */
  readonly black: number;
  readonly white: number;
  /** Not there in terminals that know eight colours only: they ignore it. */
  readonly brightWhite: number | undefined;
}

export const DARK: Palette = { foreground: 204, background: 24, black: 0, white: 204, brightWhite: 255 };
export const LIGHT: Palette = { foreground: 40, background: 255, black: 0, white: 211, brightWhite: 255 };
export const EIGHT_COLOURS: Palette = { ...DARK, brightWhite: undefined };

/** A colour, or one character. */
const ESCAPE = '\u001b';
const TOKENS = new RegExp(`${ESCAPE}\\[([0-9;]*)m|.`, 'gsu');

interface Cell {
  readonly character: string;
  readonly foreground: number;
  readonly background: number;
}

/** The last `rows` lines, as they stand after `output`. */
export function screenOf(output: string, columns: number, rows: number, palette: Palette): Cell[][] {
  const lines: Cell[][] = [[]];
  let { foreground, background } = palette;
  let column = 0;
  for (const [token, parameters] of output.matchAll(TOKENS)) {
    if (parameters !== undefined) ({ foreground, background } = coloured(parameters));
    else if (token === '\r') column = 0;
    else if (token === '\n') lines.push([]);
    else if (/\p{Cc}/u.test(token)) throw new Error(`a terminal would have to know ${JSON.stringify(token)}`);
    else {
      if (column === columns) {
        lines.push([]);
        column = 0;
      }
      const line = lines.at(-1) ?? [];
      line[column] = { character: token, foreground, background };
      column += 1;
    }
  }
  const blank = { character: ' ', foreground: palette.foreground, background: palette.background };
  return Array.from({ length: rows }, (_, row) => {
    const line = lines.slice(-rows)[row] ?? [];
    return Array.from({ length: columns }, (_, at) => line[at] ?? blank);
  });

  function coloured(parameters: string): Pick<Cell, 'foreground' | 'background'> {
    const now = { foreground, background };
    for (const code of parameters === '' ? [0] : parameters.split(';').map(Number)) {
      if (code === 0) Object.assign(now, { foreground: palette.foreground, background: palette.background });
      else if (code === 30) now.foreground = palette.black;
      else if (code === 47) now.background = palette.white;
      else if (code === 107) now.background = palette.brightWhite ?? now.background;
      else throw new Error(`a colour that this terminal does not know: ${code}`);
    }
    return now;
  }
}

/** Of one cell. Terminals draw them about twice as high as wide. */
const WIDTH = 6;
const HEIGHT = 12;

/** In the simplest of the formats that everything reads: PGM. */
export function pictureOf(screen: readonly (readonly Cell[])[]): Buffer {
  const columns = screen[0]?.length ?? 0;
  const pixels = Buffer.alloc(columns * WIDTH * screen.length * HEIGHT);
  screen.forEach((line, row) => {
    line.forEach((cell, column) => {
      for (let y = 0; y < HEIGHT; y++) {
        for (let x = 0; x < WIDTH; x++) {
          const at = (row * HEIGHT + y) * columns * WIDTH + column * WIDTH + x;
          pixels[at] = isInk(cell.character, x, y) ? cell.foreground : cell.background;
        }
      }
    });
  });
  const head = `P5\n${columns * WIDTH} ${screen.length * HEIGHT}\n255\n`;
  return Buffer.concat([Buffer.from(head), pixels]);
}

function isInk(character: string, x: number, y: number): boolean {
  switch (character) {
    case ' ':
      return false;
    case '█':
      return true;
    case '▀':
      return y < HEIGHT / 2;
    case '▄':
      return y >= HEIGHT / 2;
    default:
      // Some letter; which one is nothing that a reader of codes looks at.
      return x > 0 && x < WIDTH - 1 && y > 2 && y < HEIGHT - 2 && (x + y) % 2 === 0;
  }
}
