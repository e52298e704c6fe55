#!/usr/bin/env bash
# Runs one sync from tap-msghistory into a Singer target, for cron, systemd and Airflow's BashOperator.
#
#   sync.sh [DIRECTORY]     directory of config.json and state.json; default: the current directory
#
# Environment: TARGET: command of the target, default target-jsonl. TAP: command of the tap, default tap-msghistory.
# Exit code: 0 if all messages were read and loaded; 75 if another sync is still running; 127 if a program was not found;
# otherwise the exit code of the tap or the target, whichever failed.
set -euo pipefail
umask 077
cd "${1:-.}"
read -ra tap <<<"${TAP:-tap-msghistory}"
read -ra target <<<"${TARGET:-target-jsonl}"

for program in "${tap[0]}" "${target[0]}"; do
    if ! command -v "$program" >/dev/null; then
        echo "sync.sh: $program was not found: set PATH, or TAP and TARGET with full paths" >&2
        exit 127
    fi
done

exec 9>state.lock
if ! flock --nonblock 9; then
    echo "sync.sh: another sync is still running" >&2
    exit 75
fi

# The first run has no state.
options=(--config config.json)
if [ -s state.json ]; then options+=(--state state.json); fi

states=$(mktemp states.XXXXXX)
pipe=$states.pipe
mkfifo "$pipe"
trap 'rm -f "$states" "$pipe" state.json.new' EXIT

"${target[@]}" <"$pipe" >"$states" &
target_pid=$!
"${tap[@]}" "${options[@]}" >"$pipe" &
tap_pid=$!

# A signal stops the tap after a complete line. The target loads the lines before it and prints its state, which is saved.
for signal in TERM INT HUP; do
    # shellcheck disable=SC2064 # the signal of this iteration
    trap "kill -s $signal \$tap_pid 2>/dev/null || true" "$signal"
done

# Sets `code` to the exit code of a process. A signal interrupts `wait` without ending the process.
finish() {
    while true; do
        code=0
        wait "$1" || code=$?
        kill -0 "$1" 2>/dev/null || break
    done
}
finish "$tap_pid"
tap_code=$code
finish "$target_pid"
target_code=$code

# The target prints a state after it has loaded everything before it. The last state is therefore valid after a failure too.
# Other lines are ignored, and so is an incomplete last line. The file is replaced atomically.
state=
while IFS= read -r line || [ "$target_code" -eq 0 ] && [ -n "$line" ]; do
    if [[ $line == \{*\} ]]; then state=$line; fi
    line=
done <"$states"
if [ -n "$state" ]; then
    printf '%s\n' "$state" >state.json.new
    mv state.json.new state.json
fi
if [ "$tap_code" -ne 0 ]; then exit "$tap_code"; fi
exit "$target_code"
