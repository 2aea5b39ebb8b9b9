/**
 * A link as a code to scan. Always black on white, whatever the terminal's own colours are: readers fail on the
 * colours of a light terminal, where the usual drawing comes out inverted.
 */
import qrcode from 'qrcode-terminal';

/** Readers look for some white around it; one module of that the package draws. */
const MARGIN = 1;
/** The brighter white where the terminal knows it, else the plain one. */
const BLACK_ON_WHITE = '\u001b[30;47;107m';
const RESET = '\u001b[0m';

/** The package draws with the terminal's own foreground for white. Here that is the background. */
const INVERTED: Readonly<Record<string, string>> = { '█': ' ', ' ': '█', '▀': '▄', '▄': '▀' };

export interface Drawing {
  readonly columns: number;
  readonly rows: number;
  /** Lines with their colours, a line feed after each. */
  readonly text: string;
}

export function drawQr(text: string): Drawing {
  let drawn = '';
  qrcode.setErrorLevel('L');
  qrcode.generate(text, { small: true }, (output) => {
    drawn = output;
  });
  const [first = '', ...rest] = drawn.split('\n').filter((line) => line !== '');
  const columns = first.length + 2 * MARGIN;
  const blank = ' '.repeat(first.length);
  // The package's first line is half a line of margin, and its last module a line of it.
  const body = [
    blank,
    ...rest.map((line) => [...line].map((cell) => INVERTED[cell] ?? cell).join('')),
    blank,
  ];
  const side = ' '.repeat(MARGIN);
  const coloured = body.map((line) => `${BLACK_ON_WHITE}${side}${line}${side}${RESET}\n`);
  return { columns, rows: coloured.length, text: coloured.join('') };
}
