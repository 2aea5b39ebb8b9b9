/**
 * The part of a completion that bash and zsh understand alike: functions that look the place and the word up in
 * `case` tables and leave the answer in variables.
 */
import type { Kind, Place } from './tree.ts';

/** Our own words only ever have letters, digits and dashes in them; a test holds them to it. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const spell = (kind: Kind): string =>
  typeof kind === 'string'
    ? `_mesh_kind=${kind}`
    : `_mesh_kind=words _mesh_words=${quoted(kind.words.join(' '))}`;

const table = (name: string, on: string, rows: readonly string[]): string =>
  [`${name}() {`, `  case "${on}" in`, ...rows.map((row) => `    ${row} ;;`), '  esac', '}'].join('\n');

export function tables(places: readonly Place[]): string {
  const commands = places
    .filter((place) => place.commands.length > 0)
    .map(({ path, commands }) => {
      const names = commands.map(({ name }) => name).join(' ');
      return `${quoted(path)}) _mesh_words=${quoted(names)}`;
    });
  const flags = places.map(({ path, flags }) => {
    const long = flags.map(({ names }) => names[0]).join(' ');
    return `${quoted(path)}) _mesh_words=${quoted(long)}`;
  });
  const values = places.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [`${names.map((name) => quoted(`${path} ${name}`)).join('|')}) ${spell(value)}`],
    ),
  );
  const slots = places.flatMap(({ path, slots }) =>
    slots.map(({ kind, rest }, at) => {
      const pattern = rest ? `${quoted(`${path} `)}*` : quoted(`${path} ${at}`);
      return `${pattern}) ${spell(kind)}`;
    }),
  );
  return [
    table('_mesh_commands', '$1', commands),
    table('_mesh_options', '$1', flags),
    '# What follows an option; nothing where it stands alone.',
    table('_mesh_value', '$1 $2', values),
    '# The argument of that number.',
    table('_mesh_slot', '$1 $2', slots),
  ].join('\n');
}
