/** The page of everything that can go wrong, from the program's own table of errors. */
import { type ErrorCode, ExitStatus, type Explanation, explanations } from '../../src/entities/errors.ts';

const HEAD = `# Troubleshooting

<!-- Made by "npm run troubleshooting" from src/entities/errors.ts; changes belong there. -->

An error is one line, and a second one that says what to do:

    mesh: there is no device "pi"
    hint: see "mesh devices"

With \`--json\` it is the last line on stdout, with its code: \`{"event":"error","code":"device-unknown","message":"…","hint":"…"}\`. Codes are stable; texts are not. Below are all codes, by the status that the command ends with. What is in _italics_ is replaced by what it was about.

\`mesh doctor\` looks at the usual suspects by itself: store, permissions, clock, broker login, publishing and subscribing, the queue for times offline, the packet limit, and each member's last sign of life.
`;

const MEANINGS: Readonly<Record<Exclude<ExitStatus, 0>, string>> = {
  [ExitStatus.failed]: 'failed',
  [ExitStatus.usage]: 'wrong usage, or something that cannot be used',
  [ExitStatus.store]: 'the store',
  [ExitStatus.unknownTarget]: 'nobody and nothing of that name',
  [ExitStatus.broker]: 'the broker',
  [ExitStatus.timeout]: 'out of time',
  [ExitStatus.refused]: 'refused',
};

const rows = Object.entries(explanations) as readonly (readonly [ErrorCode, Explanation])[];

export function troubleshootingPage(): string {
  const sections = Object.entries(MEANINGS).map(([status, meaning]) => {
    const own = rows.filter(([, { exit }]) => exit === Number(status)).map(([code]) => code);
    return `\n## ${status}: ${meaning}\n\n${TABLE_HEAD}${own.sort().map(row).join('')}`;
  });
  return HEAD + sections.join('');
}

export const TABLE_HEAD = '| code | what it says | what to do |\n| --- | --- | --- |\n';

/** One line of such a table. */
export function row(code: ErrorCode): string {
  const { message, hint } = explanations[code];
  return `| \`${code}\` | ${cell(message)} | ${cell(hint)} |\n`;
}

/** Nothing in it means anything to Markdown but the placeholders. */
const cell = (text: string): string =>
  text.replace(/[|<>*_`\\]/g, (character) => `\\${character}`).replace(/\{(\w+)\}/g, '_$1_');
