#!/bin/sh
# Creates a flag file that tells an application to be quiet, and gives it time to notice. One that is
# there already stays, now and after the post hook. Ours goes by the post hook, on every failure, and
# by itself after the limit.
# Parameters: QUIESCENT_PATH, QUIESCENT_WAIT, QUIESCENT_LIMIT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/flag.sh"

wait=$(seconds "${QUIESCENT_WAIT:-0}") ||
    fail 2 "the parameter wait is \"$QUIESCENT_WAIT\": write a duration such as 10s"
folder=${FLAG%/*}
[ -d "${folder:-/}" ] || fail 2 "the folder ${folder:-/} of the flag is not in this container: correct the parameter path"

begin_hold
if exists && ! is_ours; then
    note found
    kept
    ok flag=found "limit=$MOST"
fi
# One of ours was left by a container that was killed, or came back with a restore.
rm -f "$FLAG" 2>/dev/null
note made
# With -C the file is made, or was there: nothing in between.
error=$( (set -C && echo "$MARK at $BEGAN_AT" >"$FLAG") 2>&1) ||
    fail 1 "cannot create the flag $FLAG as user $(id -u): $(brief "$error")"
until [ "$(date +%s)" -ge $((BEGAN + wait)) ]; do
    [ "$(left)" -gt 0 ] || fail 4 "the wait of $wait s was not over within $LIMIT s: raise the timeout of the hook"
    pause
done
kept
ok flag=made "limit=$MOST"
