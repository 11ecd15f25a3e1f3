# Completion of hilum for bash: source it, or put it into /usr/share/bash-completion/completions/ under the name hilum.
# shellcheck shell=bash

# Prints the names of workloads in a file, or of those that PID 1 runs.
_hilum_names() {
    local file=$1
    shift
    if [ -n "$file" ]; then
        sed -n 's/^[[:space:]]*\[workload \([^]]*\)\].*/\1/p' "$file" 2>/dev/null
    else
        hilum "$@" status 2>/dev/null | sed -n '2,$s/ .*//p'
    fi || :
}

_hilum() {
    local commands='status top log mute unmute start stop restart signal freeze thaw exec reload timeline poweroff reboot halt check explain audit mounts net update rollback time doctor version help'
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local at=1 socket=() file='' offered='' index
    COMPREPLY=()
    if [ "${COMP_WORDS[1]}" = --socket ]; then
        socket=(--socket "${COMP_WORDS[2]}")
        at=3
    fi
    case $before in
    --socket | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    esac
    if [ "$COMP_CWORD" -eq "$at" ]; then
        [ "$at" -eq 1 ] && offered=--socket
        mapfile -t COMPREPLY < <(compgen -W "$commands $offered" -- "$word")
        return
    fi
    local command=${COMP_WORDS[at]} place=$((COMP_CWORD - at)) flags=
    case $command in
    status | time) flags=--json ;;
    top) flags=-n ;;
    log) flags='-f -n' ;;
    start | stop | restart) flags=-w ;;
    exec) [ "$place" -eq 2 ] && flags='-t -T' ;;
    check | explain | audit) flags=--config ;;
    mounts) flags='--json --config' ;;
    update) flags=--status ;;
    esac
    if [ "$command" = update ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
    case $command in
    explain)
        file=/etc/hilum.conf
        for ((index = at; index < ${#COMP_WORDS[@]} - 1; index++)); do
            [ "${COMP_WORDS[index]}" = --config ] && file=${COMP_WORDS[index + 1]}
        done
        ;;
    esac
    case $command in
    status | log | mute | unmute | start | stop | restart | signal | freeze | thaw | exec | explain)
        if [ "$place" -eq 1 ] || { [ "$command" = explain ] && [ "$before" != explain ]; }; then
            offered=$(_hilum_names "$file" "${socket[@]}")
        elif [ "$command" = signal ] && [ "$place" -eq 2 ]; then
            offered='HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH'
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$flags $offered" -- "$word")
}

complete -F _hilum hilum
