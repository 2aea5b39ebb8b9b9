/**
 * The walk-throughs of the README, as they stand there. At its fence, where a reader does not see it, each block
 * says who runs it:
 *
 *     ```sh laptop/1 stays, ends with 7
 *
 * a device, which of its terminals, that the last command goes on while other blocks run, and how it ends then.
 * In a block `#? ` is a question with its answer, and `#> ` what is shown; both belong to the command above.
 */

export interface Turn {
  readonly kind: 'asked' | 'shown';
  readonly text: string;
  /** To a question. In angle brackets what the reader has to fill in. */
  readonly answer: string;
}

export interface Step {
  readonly line: number;
  readonly command: string;
  readonly turns: readonly Turn[];
}

export interface Block {
  readonly line: number;
  readonly section: string;
  /** A device and its terminal, or what else the block is. */
  readonly who: string;
  readonly words: string;
  readonly stays: boolean;
  /** The status with which the command that stays ends by itself. */
  readonly endsWith: number | undefined;
  readonly text: string;
  readonly steps: readonly Step[];
}

const FENCE = /^```(?:sh|text) (\S+)(.*)$/;

/** Throws where a block is not made as above. */
export function blocksOf(markdown: string): readonly Block[] {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  let section = '';
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line.startsWith('## ')) section = line.slice(3);
    if (!line.startsWith('```')) continue;
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`the block in line ${at + 1} has no end`);
    const [, who, words = ''] = FENCE.exec(line) ?? [];
    if (who === undefined) throw new Error(`nothing says who runs the block in line ${at + 1}`);
    const body = lines.slice(at + 1, end);
    const ending = /ends with (\d)/.exec(words)?.[1];
    blocks.push({
      line: at + 1,
      section,
      who,
      words,
      stays: /\bstays\b/.test(words),
      endsWith: ending === undefined ? undefined : Number(ending),
      text: body.join('\n'),
      steps: stepsOf(body, at + 2),
    });
    at = end;
  }
  return blocks;
}

function stepsOf(body: readonly string[], first: number): readonly Step[] {
  const steps: { line: number; command: string; turns: Turn[] }[] = [];
  body.forEach((text, at) => {
    const turn = turnOf(text);
    if (turn === undefined) steps.push({ line: first + at, command: text, turns: [] });
    else if (steps.length === 0) throw new Error(`nothing is called before line ${first + at}`);
    else steps.at(-1)?.turns.push(turn);
  });
  return steps;
}

function turnOf(text: string): Turn | undefined {
  const [, mark, rest = ''] = /^#([?>]) (.*)$/.exec(text) ?? [];
  if (mark === undefined) return undefined;
  if (mark === '>') return { kind: 'shown', text: rest, answer: '' };
  // A question ends with a colon, or with what may be answered.
  const [, question, answer] = /^(.*[:\]]) (.+)$/.exec(rest) ?? [];
  if (question === undefined || answer === undefined) throw new Error(`no answer to be seen in "${text}"`);
  return { kind: 'asked', text: question, answer };
}
