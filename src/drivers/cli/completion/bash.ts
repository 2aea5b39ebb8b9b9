import { tables } from './table.ts';
import type { Place } from './tree.ts';

/** Works with the bash 3.2 of macOS, and without the bash-completion package. */
export function bashCompletion(places: readonly Place[]): string {
  return `# bash completion of mesh: source <(mesh completion bash)
${tables(places)}

# Offers one line each; what would mean something to the shell is quoted, as the person has begun to.
_mesh_offer() {
  local line single="'\\\\''" double='[\\\\$\`"]' i char quoted
  while IFS= read -r line; do
    [[ -n $line && $line == "$_mesh_typed"* ]] || continue
    if [[ -z $_mesh_quote ]]; then
      printf -v quoted %q "$line"
    else
      quoted=''
      for ((i = 0; i < \${#line}; i++)); do
        char=\${line:i:1}
        if [[ $_mesh_quote == '"' && $char == $double ]]; then char="\\\\$char"; fi
        if [[ $_mesh_quote == "'" && $char == "'" ]]; then char=$single; fi
        quoted+=$char
      done
    fi
    COMPREPLY+=("$quoted")
  done
}

# bash quotes these by itself.
_mesh_paths() {
  local line
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do COMPREPLY+=("$line"); done
}

# What a daemon knows, a line each, with something in front of it.
_mesh_known() {
  local line
  while IFS= read -r line; do printf '%s\\n' "$1$line"; done < <("\${@:3}" completion "$2" </dev/null 2>/dev/null)
}

_mesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' word before='' next position=0 i
  local _mesh_kind='' _mesh_words='' _mesh_quote='' _mesh_typed home=() sign=''
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    # bash takes "--wait=x" for three words, and "@x" for two.
    [[ $word == '=' || $word == '@' || $word == '=@' ]] && continue
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
  [[ $cur == '=' || $cur == '@' || $cur == '=@' ]] && cur=''
  # It is taken for a word, but what is completed replaces it.
  [[ \${COMP_LINE:0:COMP_POINT} == *[[:space:]=]@"$cur" ]] && cur=@$cur
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
    target)
      _mesh_offer < <(echo all; _mesh_known '' --devices "$1" "\${home[@]}")
      _mesh_offer < <(_mesh_known @ --groups "$1" "\${home[@]}")
      ;;
    device) _mesh_offer < <(_mesh_known '' --devices "$1" "\${home[@]}") ;;
    group|group-or-all)
      [[ $_mesh_kind == group-or-all ]] && _mesh_offer <<<all
      [[ $_mesh_typed == @* ]] && sign=@
      _mesh_offer < <(_mesh_known "$sign" --groups "$1" "\${home[@]}")
      ;;
    file) _mesh_paths < <(compgen -f -- "$_mesh_typed") ;;
    directory) _mesh_paths < <(compgen -d -- "$_mesh_typed") ;;
  esac
}
complete -F _mesh mesh
`;
}
