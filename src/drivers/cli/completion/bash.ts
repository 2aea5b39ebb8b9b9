import { tables } from './table.ts';
import type { Place } from './tree.ts';

/** Works with the bash 3.2 of macOS, and without the bash-completion package. */
export function bashCompletion(places: readonly Place[]): string {
  return `# bash completion of mesh: source <(mesh completion bash)
${tables(places)}

# Offers one line each; a word that has to be quoted is, unless the person has begun to.
_mesh_offer() {
  local line
  while IFS= read -r line; do
    [[ -n $line && $line == "$_mesh_typed"* ]] || continue
    if [[ -z $_mesh_quote ]]; then printf -v line %q "$line"; fi
    COMPREPLY+=("$line")
  done
}

# bash quotes these by itself.
_mesh_paths() {
  local line
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do COMPREPLY+=("$line"); done
}

_mesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' word before='' next position=0 i
  local _mesh_kind='' _mesh_words='' _mesh_quote='' _mesh_typed home=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    # bash takes "--wait=x" for three words.
    [[ $word == '=' ]] && continue
    if [[ -n $before ]]; then
      [[ $before == --home ]] && home=(--home "$word")
      before=''
      continue
    fi
    if [[ $word == -* && $word != - ]]; then
      _mesh_kind=''
      _mesh_value "$path" "$word"
      [[ -n $_mesh_kind ]] && before=$word
      continue
    fi
    _mesh_words=''
    _mesh_commands "$path"
    next=" $_mesh_words "
    if [[ -n $_mesh_words && $next == *" $word "* ]]; then
      path=\${path:+$path }$word
      position=0
    else
      ((position++))
    fi
  done
  [[ $cur == '=' ]] && cur=''
  case $cur in
    \\"*) _mesh_quote='"' ;;
    \\'*) _mesh_quote="'" ;;
  esac
  _mesh_typed=\${cur#[\\"\\']}
  [[ -z $_mesh_quote ]] && _mesh_typed=\${_mesh_typed//\\\\/}
  _mesh_kind=''
  _mesh_words=''
  if [[ -n $before ]]; then
    _mesh_value "$path" "$before"
  elif [[ $cur == -* ]]; then
    _mesh_kind=words
    _mesh_options "$path"
  else
    _mesh_commands "$path"
    if [[ -n $_mesh_words ]]; then _mesh_kind=words; else _mesh_slot "$path" "$position"; fi
  fi
  case $_mesh_kind in
    words) _mesh_offer <<<"\${_mesh_words// /$'\\n'}" ;;
    target) _mesh_offer < <(echo all; "$1" completion --devices "\${home[@]}" </dev/null 2>/dev/null) ;;
    device) _mesh_offer < <("$1" completion --devices "\${home[@]}" </dev/null 2>/dev/null) ;;
    file) _mesh_paths < <(compgen -f -- "$_mesh_typed") ;;
    directory) _mesh_paths < <(compgen -d -- "$_mesh_typed") ;;
  esac
}
complete -F _mesh mesh
`;
}
