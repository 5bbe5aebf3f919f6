# SPDX-License-Identifier: Apache-2.0
# Completion of mapshift's command line for bash.

_mapshift_modules() {
  mapshift status 2>/dev/null | awk 'NR > 1 && $2 != "module" { print $1 }'
}

# Maps whose changes are followed, as MODULE/MAP.
_mapshift_watched() {
  local module
  for module in $(_mapshift_modules); do
    mapshift status "$module" 2>/dev/null | awk -v module="$module" '/^  CHANGES /{on = 1; next} on && /^    /{exit} on {print module "/" $1}'
  done
}

_mapshift_go_processes() {
  mapshift go 2>/dev/null | awk '$2 ~ /^[0-9]+$/ { print $2 }'
}

_mapshift() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command="" sub="" word i skip=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((skip)); then skip=0; continue; fi
    case $word in
      --agent | --token-file | --run-dir | --output | --set | --bake | --if-generation | --reason | --since | --link | --program | --manifest) skip=1 ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; else sub=$word; fi ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    --output) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$current"); return ;;
    --token-file | --manifest) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --run-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --agent | --set | --bake | --if-generation | --reason | --since | --link | --program) return ;;
  esac
  local options="--help --agent --token-file --run-dir --output" words=""
  case $command in
    "") words="load plan update rollback commit abort unload adopt status history explain changes go check completion"; options+=" --version" ;;
    load | plan) options+=" --set" ;;
    update) options+=" --set --bake --wait --if-generation --allow-lossy --force-quarantined" ;;
    rollback | commit | abort) options+=" --reason" ;;
    adopt) options+=" --link --program --manifest --set" ;;
    changes) options+=" --since --follow" ;;
    check) if [[ -z $sub ]]; then words="config module host"; elif [[ $sub == module ]]; then options+=" --set"; fi ;;
    completion) words="bash" ;;
  esac
  if [[ $current == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current"); return; fi
  case $command in
    load | plan | update) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    changes) mapfile -t COMPREPLY < <(compgen -W "$(_mapshift_watched)" -- "$current") ;;
    rollback | commit | abort | unload | status | history) mapfile -t COMPREPLY < <(compgen -W "$(_mapshift_modules)" -- "$current") ;;
    go) mapfile -t COMPREPLY < <(compgen -W "$(_mapshift_go_processes)" -- "$current") ;;
    check) if [[ $sub == host ]]; then :; elif [[ -n $sub ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$current"); else mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"); fi ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
  esac
}
complete -o filenames -F _mapshift mapshift
