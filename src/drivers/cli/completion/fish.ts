import type { Kind, Place } from './tree.ts';

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function offered(kind: Kind): string {
  if (typeof kind !== 'string') return `-f -a ${quoted(kind.words.join(' '))}`;
  switch (kind) {
    case 'target':
      return "-f -a 'all (__mesh_known --devices) @(__mesh_known --groups)'";
    case 'device':
      return "-f -a '(__mesh_known --devices)'";
    case 'group':
      return "-f -a '(__mesh_sign)(__mesh_known --groups)'";
    case 'group-or-all':
      return "-f -a 'all (__mesh_sign)(__mesh_known --groups)'";
    case 'file':
      return '-F';
    case 'directory':
      return "-f -a '(__fish_complete_directories)'";
    case 'any':
      return '-f';
  }
}

export function fishCompletion(places: readonly Place[]): string {
  const taking = new Set(
    places.flatMap(({ flags }) => flags.flatMap(({ names, value }) => (value === undefined ? [] : names))),
  );
  const paths = places.map(({ path }) => path).filter((path) => path !== '');
  const lines = places.flatMap(({ path, commands, flags, slots }) => {
    const at = `complete -c mesh -n ${quoted(`__mesh_at ${quoted(path)}`)}`;
    return [
      ...commands.map(({ name, description }) => `${at} -a ${quoted(name)} -d ${quoted(description)}`),
      ...flags.map(({ names, description, value }) => {
        const spelt = names.map((name) =>
          name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
        );
        const follows = value === undefined ? '' : ` -r ${offered(value)}`;
        return `${at} ${spelt.join(' ')} -d ${quoted(description)}${follows}`.trimEnd();
      }),
      ...slots.map(({ kind, rest }, position) => {
        const here = `__mesh_at ${quoted(path)} ${position}${rest ? ' rest' : ''}`;
        return `complete -c mesh -n ${quoted(here)} ${offered(kind)}`.trimEnd();
      }),
    ];
  });
  return `# fish completion of mesh: mesh completion fish | source
complete -c mesh -e
complete -c mesh -f

# The words that lead to the command, and how many arguments it has by now.
function __mesh_where
    set -l place
    set -l position 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        if string match -q -- '-?*' $word
            contains -- $word ${[...taking].map(quoted).join(' ')}; and set skip 1
            continue
        end
        if contains -- (string join ' ' $place $word) ${paths.map(quoted).join(' ')}
            set -a place $word
        else
            set position (math $position + 1)
        end
    end
    string join ' ' $place
    echo $position
end

function __mesh_at -a place position rest
    set -l where (__mesh_where)
    # Nothing at all is printed for no words.
    test (count $where) = 1; and set -p where ''
    test "$where[1]" = "$place"; or return 1
    test -z "$position"; and return 0
    test "$rest" = rest; and test $where[2] -ge $position; and return 0
    test $where[2] = $position
end

function __mesh_known -a which
    set -l words (commandline -opc)
    set -l home
    set -l at (contains -i -- --home $words); and set home --home $words[(math $at + 1)]
    command $words[1] completion $which $home </dev/null 2>/dev/null
end

# A group is called with the sign before its name where that was typed.
function __mesh_sign
    string match -q -- '@*' (commandline -ct); and echo @; or echo ''
end

${lines.join('\n')}
`;
}
