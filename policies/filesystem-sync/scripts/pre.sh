#!/bin/sh
# Has the kernel write what it still holds in memory for the file systems of some paths, and waits for
# it as long as the hook may take. Changes nothing. Parameter: QUIESCENT_PATHS (blanks between).
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

need sync
set -f
# shellcheck disable=SC2086 # a list
set -- ${QUIESCENT_PATHS:-}
set +f
for path; do
    [ -r "$path" ] || fail 2 "$path is not there, or user $(id -u) cannot read it: correct the parameter paths"
done

# A disk that does not answer cannot be left by any signal: whoever waits for it has none of the
# exec's streams, so that we can go and say so.
synced() {
    sync "$@" </dev/null >/dev/null 2>&1 &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        [ "$(left)" -gt 0 ] ||
            fail 4 "writing ${path:-everything} to the disk was not done within $LIMIT s: look whether the disk answers, or raise the timeout of the hook"
        sleep 0.1 2>/dev/null || sleep 1
    done
    wait "$child"
}

how=filesystem
path=
if [ $# -eq 0 ]; then
    how=all
    synced || fail 1 'sync failed: look at the log of the kernel'
elif sync -f /proc >/dev/null 2>&1 </dev/null; then
    for path; do
        synced -f "$path" || fail 1 "writing the file system of $path failed, which the kernel says of a disk with errors: look at its log (dmesg)"
    done
else
    say "this container's sync cannot be held to one file system: all are written"
    how=all
    synced || fail 1 'sync failed: look at the log of the kernel'
fi
ok "synced=$how" "paths=$#"
