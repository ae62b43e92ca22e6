#!/bin/sh
# Freezes the file systems of a pod's volumes, so that a snapshot of several volumes is of one moment:
# whoever writes to them waits. Runs in a side container that may do that. They thaw by the post hook,
# on every failure, and by themselves after the limit.
# Parameters: QUIESCENT_PATHS (mount points, blanks between), QUIESCENT_LIMIT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/freeze.sh"

need fsfreeze
set -f
# shellcheck disable=SC2086 # a list
set -- ${QUIESCENT_PATHS:-}
set +f
[ $# -gt 0 ] || fail 2 'the parameter paths is empty: name the mount points of the volumes in this container'

# A frozen root or kubelet's file system would stop the node, and a frozen dump volume the hooks.
# What kubelet puts into a container shows where its own files lie.
spared=' '
while read -r _ _ number _ point _; do
    case $point in
    / | /etc/hosts | /etc/hostname | /etc/resolv.conf | /dev/termination-log | /quiescent/*) spared="$spared$number " ;;
    esac
done </proc/self/mountinfo
for path; do
    device=$(device_at "$path")
    [ -n "$device" ] || fail 2 "$path is not the mount point of a volume in this container: correct the parameter paths"
    case $spared in
    *" $device "*) fail 2 "$path lies on the same file system as this container's root, its dump volume or the node's own files: freezing it would stop them too, only a volume of its own can be frozen" ;;
    esac
done

begin_hold
for path; do
    note "$path"
    error=$(within fsfreeze --freeze "$path" 2>&1) && continue
    case $error in
    *'esource busy'* | *'ermission denied'* | *'not permitted'* | *'not supported'* | *'nappropriate ioctl'*)
        # Not ours to thaw.
        sed '$d' "$STORE/notes" >"$STORE/mine" && mv "$STORE/mine" "$STORE/notes"
        ;;
    esac
    case $error in
    *'esource busy'*) fail 1 "the file system at $path is frozen by somebody else: see who, and thaw it with fsfreeze --unfreeze" ;;
    *'ermission denied'* | *'not permitted'*) fail 2 "this container may not freeze $path: it needs the capability SYS_ADMIN, and root: $(brief "$error")" ;;
    *'not supported'* | *'nappropriate ioctl'*) fail 2 "the file system at $path cannot be frozen: $(brief "$error")" ;;
    esac
    [ "$(left)" -gt 0 ] || fail 4 "freezing $path was not done within $LIMIT s: raise the timeout of the hook, or look for what holds the disk up"
    fail 1 "freezing $path: $(brief "$error")"
done
kept
ok "frozen=$#" "limit=$MOST"
