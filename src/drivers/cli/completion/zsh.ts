import { tables } from './table.ts';
import type { Place } from './tree.ts';

const described = (name: string, description: string): string =>
  `'${`${name}:${description}`.replaceAll("'", `'\\''`)}'`;

/** Both ways work: sourced, or as the file \`_mesh\` in a directory of \`fpath\`. */
export function zshCompletion(places: readonly Place[]): string {
  const descriptions = places
    .filter((place) => place.commands.length > 0)
    .map(({ path, commands }) => {
      const each = commands.map(({ name, description }) => described(name, description)).join(' ');
      return `    '${path}') _mesh_described=(${each}) ;;`;
    });
  return `#compdef mesh
# zsh completion of mesh: source <(mesh completion zsh)
${tables(places)}
_mesh_describe_commands() {
  case "$1" in
${descriptions.join('\n')}
  esac
}

_mesh_known() {
  names+=(\${(f)"$("\${(Q)words[1]}" completion $1 "\${home[@]}" </dev/null 2>/dev/null)"})
}

_mesh() {
  local cur=\${words[CURRENT]} place='' word before='' position=0 i
  local _mesh_kind='' _mesh_words=''
  local -a _mesh_described home names
  for ((i = 2; i < CURRENT; i++)); do
    word=\${(Q)words[i]}
    if [[ -n $before ]]; then
      [[ $before == --home ]] && home=(--home "$word")
      before=''
      continue
    fi
    if [[ $word == -* && $word != - ]]; then
      _mesh_kind=''
      _mesh_value "$place" "$word"
      [[ -n $_mesh_kind ]] && before=$word
      continue
    fi
    _mesh_words=''
    _mesh_commands "$place"
    if [[ -n $_mesh_words && " $_mesh_words " == *" $word "* ]]; then
      place=\${place:+$place }$word
      position=0
    else
      ((position++))
    fi
  done
  _mesh_kind=''
  _mesh_words=''
  if [[ -z $before && $cur == --*=* ]]; then
    before=\${cur%%=*}
    compset -P '*='
  fi
  if [[ -n $before ]]; then
    _mesh_value "$place" "$before"
  elif [[ $cur == -* ]]; then
    _mesh_kind=words
    _mesh_options "$place"
  else
    _mesh_describe_commands "$place"
    if ((\${#_mesh_described})); then
      _describe command _mesh_described
      return
    fi
    _mesh_slot "$place" "$position"
  fi
  case $_mesh_kind in
    words) compadd -- \${=_mesh_words} ;;
    target|device|group|group-or-all)
      [[ $_mesh_kind == target || $_mesh_kind == group* ]] && _mesh_known --groups
      [[ $_mesh_kind == target || $PREFIX == @* ]] && names=("\${(@)names/#/@}")
      [[ $_mesh_kind == target || $_mesh_kind == device ]] && _mesh_known --devices
      [[ $_mesh_kind == target || $_mesh_kind == group-or-all ]] && names+=(all)
      compadd -- "\${names[@]}"
      ;;
    file) _files ;;
    directory) _files -/ ;;
  esac
}
if [[ \${funcstack[1]} == _mesh ]]; then _mesh "$@"; else compdef _mesh mesh; fi
`;
}
