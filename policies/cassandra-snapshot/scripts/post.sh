#!/bin/sh
# Clears the snapshot of pre.sh, and says whether it had been there.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/cassandra.sh"

open_state
undo() { rm -f "$STORE/password"; }
is_held || fail 5 "there is no snapshot $TAG: pre did not run, or it failed, or somebody has cleared it: this backup is not good"
clear_ours
ok "snapshot=$TAG"
