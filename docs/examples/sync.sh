#!/usr/bin/env bash
# Runs one sync from tap-msghistory into a Singer target, for cron, systemd and Airflow's BashOperator.
#
#   sync.sh [DIRECTORY]     directory of config.json and state.json; default: the current directory
#
# Environment: TARGET: command of the target, default target-jsonl. TAP: command of the tap, default tap-msghistory.
# Exit code: 0 if all messages were read and loaded; 75 if another sync is still running; otherwise the exit code of the
# tap or the target, whichever failed.
set -euo pipefail
umask 077
cd "${1:-.}"
read -ra tap <<<"${TAP:-tap-msghistory}"
read -ra target <<<"${TARGET:-target-jsonl}"

exec 9>state.lock
if ! flock --nonblock 9; then
    echo "sync.sh: another sync is still running" >&2
    exit 75
fi

# The first run has no state.
options=(--config config.json)
if [ -s state.json ]; then options+=(--state state.json); fi

states=$(mktemp states.XXXXXX)
trap 'rm -f "$states" state.json.new' EXIT
set +e
"${tap[@]}" "${options[@]}" | "${target[@]}" >"$states"
codes=("${PIPESTATUS[@]}")
set -e

# The target prints a state after it has loaded everything before it. The last state is therefore valid after a failure too.
# An incomplete last line is ignored. The file is replaced atomically, so that it is always complete.
state=
while IFS= read -r line; do state=$line; done <"$states"
if [ -n "$state" ]; then
    printf '%s\n' "$state" >state.json.new
    mv state.json.new state.json
fi
if [ "${codes[0]}" -ne 0 ]; then exit "${codes[0]}"; fi
exit "${codes[1]}"
