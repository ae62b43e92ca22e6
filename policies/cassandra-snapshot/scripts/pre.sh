#!/bin/sh
# Flushes what the node holds in memory and makes hard links to all of its files, under the name
# quiescent, in the data volume. One that an earlier run left is cleared first. Writers go on.
# Parameters: QUIESCENT_USER, QUIESCENT_PASSWORD_ENV, QUIESCENT_PORT.
# shellcheck disable=SC2034 # LIMIT is the library's
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/cassandra.sh"

open_state
taking=
undo() {
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    [ -z "$taking" ] || node clearsnapshot -t "$TAG" >/dev/null || say "the snapshot $TAG could not be cleared: run nodetool clearsnapshot -t $TAG"
    rm -f "$STORE/password"
}
version=$(node version) || gave_up 'asking the node for its version' "$version"
version=$(printf '%s\n' "$version" | sed -n 's/^ReleaseVersion: *//p')
if is_held; then
    say "a snapshot of an earlier run was not cleared by a post hook: clearing it"
    clear_ours
fi
taking=yes
error=$(node snapshot -t "$TAG") || gave_up 'the snapshot' "$error"
is_held || fail 1 "the node says that it made a snapshot, and lists none: $(brief "$error")"
[ "$(left)" -gt 0 ] || gave_up 'the snapshot' ''
taking=
ok "snapshot=$TAG" "server=$version"
