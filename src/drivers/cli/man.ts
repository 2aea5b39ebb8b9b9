/**
 * The manual page, from the same tree as everything else, so that it cannot say what the program does not do. In
 * the mdoc language, which mandoc and groff both read.
 */
import type { Argument, Command, Option } from 'commander';
import { VERSION } from '../daemon/version.ts';
import { examplesOf } from './examples.ts';

/** mdoc wants a date: the day on which what stands in this file, not in the tree, was last changed. */
const CHANGED = 'November 21, 2026';

const STATUSES = [
  'done',
  'failed; the code says how',
  'wrong usage or a bad argument',
  'the store: not initialised, locked, wrong unlock secret, in use, damaged',
  'no such device, group, message or request; an ambiguous name; a target that is no member',
  'the broker is unreachable or refuses us',
  'ran out of time; what was accepted stays accepted',
  'refused: an invite that is expired, used or cancelled, a wrong code, declined; this device was revoked',
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['MESH_HOME', 'the data directory of the device, where --home is not given'],
  ['MESH_KEY_FILE', 'the key file that unlocks the store'],
  ['MESH_PASSPHRASE_FILE', 'a file with the passphrase in its first line'],
  ['CREDENTIALS_DIRECTORY', 'where systemd puts the credential mesh-key of a service'],
  [
    'NOTIFY_SOCKET',
    'set by systemd; the daemon then says when it is ready, when it stops, and that it lives',
  ],
  [
    'MESH_FROM , MESH_ID , MESH_TYPE , MESH_THREAD , MESH_GROUP',
    'set by listen for the command that it runs: what message it is, and from whom; the last is empty where it was sent to no group',
  ],
  ['NO_COLOR', 'no colours, whatever the terminal can do'],
];

export function manualPage(program: Command): string {
  const lines = [
    `.\\" Made by "npm run man" from the tree of commands; changes belong there.`,
    `.Dd ${CHANGED}`,
    '.Dt MESH 1',
    '.Os',
    '.Sh NAME',
    '.Nm mesh',
    `.Nd ${roff(program.description())}`,
    '.Sh SYNOPSIS',
    '.Nm mesh',
    '.Op Ar options',
    '.Ar command',
    '.Op Ar arguments',
    '.Sh DESCRIPTION',
    'One device of a mesh, its daemon and the commands that talk to it.',
    ...text(
      'A command finds the running daemon of its home by itself; without one it opens the store, connects, does its work and stops.',
    ),
    '.Pp',
    'The options of all commands:',
    '.Bl -tag -width Ds',
    ...optionItems(program),
    '.El',
    '.Sh COMMANDS',
    '.Bl -tag -width Ds',
    ...leaves(program, []).flatMap(({ command, path }) => commandItem(command, path)),
    '.El',
    '.Pp',
    'A',
    '.Ar device',
    'is a device id, 6 or more of its first characters, or a name; a',
    '.Ar target',
    'is a device,',
    '.Cm all ,',
    'or a group with',
    '.Sq @',
    'before its name.',
    'A duration is written like 500ms, 30s, 10m, 12h or 7d.',
    '.Sh ENVIRONMENT',
    '.Bl -tag -width Ds',
    ...ENVIRONMENT.flatMap(([name, meaning]) => [`.It Ev ${name}`, ...text(meaning)]),
    '.El',
    '.Sh EXIT STATUS',
    '.Bl -tag -width Ds',
    ...STATUSES.flatMap((meaning, status) => [`.It ${status}`, ...text(meaning)]),
    '.El',
    '.Sh EXAMPLES',
    ...leaves(program, []).flatMap(({ command }) => examplesOf(command).map(exampleLine)),
    '.Sh VERSION',
    `This is the manual of version ${VERSION}.`,
  ];
  return `${lines.join('\n')}\n`;
}

interface Leaf {
  readonly command: Command;
  readonly path: readonly string[];
}

/** The commands that do something, with the words that name each. */
export function leaves(command: Command, path: readonly string[]): readonly Leaf[] {
  if (command.commands.length === 0) return [{ command, path }];
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]));
}

function commandItem(command: Command, path: readonly string[]): readonly string[] {
  const options = optionItems(command);
  const words = `Cm ${path.join(' Cm ')}`;
  const after = command.registeredArguments.map(argumentMacro).join(' ');
  const takes = command.registeredArguments.filter(({ description }) => description !== '');
  return [
    `.It ${[words, ...(options.length > 0 ? ['Oo Ar options Oc'] : []), after].join(' ').trimEnd()}`,
    ...text(sentence(command.description())),
    ...(takes.length + options.length === 0 ? [] : ['.Bl -tag -width Ds']),
    ...takes.flatMap((one) => [
      `.It Ar ${argumentName(one)}`,
      ...text(one.description + choices(one.argChoices)),
    ]),
    ...options,
    ...(takes.length + options.length === 0 ? [] : ['.El']),
  ];
}

const argumentName = (argument: Argument): string => `${argument.name()}${argument.variadic ? ' ...' : ''}`;

const argumentMacro = (argument: Argument): string =>
  argument.required ? `Ar ${argumentName(argument)}` : `Oo Ar ${argumentName(argument)} Oc`;

function optionItems(command: Command): readonly string[] {
  return command.options
    .filter(({ hidden }) => !hidden)
    .flatMap((option) => [
      `.It ${optionMacro(option)}`,
      ...text(option.description + choices(option.argChoices)),
    ]);
}

function optionMacro({ flags, long, short, required, optional }: Option): string {
  const names = [short, long].filter((name) => name !== undefined);
  const placeholder = /[<[]([^\]>]+)[\]>]/.exec(flags)?.[1];
  const spelt = names.map((name) => `Fl ${name.slice(1).replaceAll('-', '\\-')}`).join(' , ');
  if (placeholder === undefined) return spelt;
  const name = placeholder.replace(/\.\.\.$/, '');
  return `${spelt} ${optional && !required ? 'Op ' : ''}Ar ${name}${name === placeholder ? '' : ' ...'}`;
}

const choices = (words: readonly string[] | undefined): string =>
  words === undefined ? '' : `: ${words.join(', ')}`;

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

const exampleLine = (line: string): string => `.Dl ${roff(line).replaceAll('"', '\\(dq')}`;

const WIDTH = 78;

/** In lines that are not too long for those who read the source. */
function text(whole: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of whole.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].map(roff);
}

/** Nothing in a text is taken for a command of the language. */
function roff(text: string): string {
  const plain = text
    .replaceAll('\\', '\\e')
    .replaceAll("'", '\\(aq')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti');
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
