#!/usr/bin/env bash
# Syncs once, from tap-msghistory into a Singer target. For cron, systemd and Airflow's BashOperator.
#
#   sync.sh [DIRECTORY]     the directory of config.json and state.json; default: the current one
#
# Environment: TARGET, the target's command; default: target-jsonl. TAP; default: tap-msghistory.
# Exit code: 0 all was read and loaded; 75 another sync is still running; otherwise that of the tap or the target that failed.
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

# The target prints a state when everything before it has been loaded, so it is kept after a failure too. A last line that was
# cut off is not. The file is replaced in one step, so that there is always a whole one.
state=
while IFS= read -r line; do state=$line; done <"$states"
if [ -n "$state" ]; then
    printf '%s\n' "$state" >state.json.new
    mv state.json.new state.json
fi
if [ "${codes[0]}" -ne 0 ]; then exit "${codes[0]}"; fi
exit "${codes[1]}"
