# shellcheck shell=bash
# How the scripts of this folder speak: one line per step with its time, what a program printed
# only when it failed, and one clear message with the next thing to try. Sourced, never run.

# Exit code 6 of sbcctl: a program or a privilege is missing (docs/guide/exit-codes.md).
readonly EXIT_HOST=6

cache_folder() { printf '%s/sbcctl\n' "${XDG_CACHE_HOME:-$HOME/.cache}"; }

# stop MESSAGE HINT: say what happened to what and what to do next, and end.
stop() {
    printf '%s\n  hint: %s\n' "$1" "$2" >&2
    exit "$EXIT_HOST"
}

step_log=''
step_clock=''

# end_step: the clock stops and the log goes; every script that takes steps traps EXIT with it.
end_step() {
    if [ -n "$step_clock" ]; then
        kill "$step_clock" 2>/dev/null || true
        wait "$step_clock" 2>/dev/null || true
        step_clock=''
    fi
    if [ -n "$step_log" ]; then
        rm -f "$step_log"
        step_log=''
    fi
}

show_time_passing() {
    local began=$SECONDS
    while :; do
        printf '\r  ...   %-60s %4d s' "$1" $((SECONDS - began)) >&2
        sleep 1
    done
}

# step SENTENCE PROGRAM ARGUMENT...: run it quietly and show that time passes. When it fails,
# the end of what it printed is shown and its exit code returned. The program runs in the
# foreground, so Ctrl-C ends it and not only this script.
step() {
    local sentence=$1 began=$SECONDS code=0
    shift
    step_log=$(mktemp)
    if [ -t 2 ]; then
        show_time_passing "$sentence" &
        step_clock=$!
    fi
    "$@" >"$step_log" 2>&1 </dev/null || code=$?
    if [ -t 2 ]; then printf '\r' >&2; fi
    if [ "$code" -eq 0 ]; then
        printf '  ok    %-60s %4d s\n' "$sentence" $((SECONDS - began)) >&2
    else
        printf '  FAIL  %-60s %4d s, exit code %d\n' "$sentence" $((SECONDS - began)) "$code" >&2
        tail -n 30 "$step_log" >&2
    fi
    end_step
    return "$code"
}

# as_root PROGRAM ARGUMENT...: run it as root, through sudo when we are not.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        stop "this changes the system and needs root: $*" \
            "run the same make target as root, or install sudo"
    fi
}
