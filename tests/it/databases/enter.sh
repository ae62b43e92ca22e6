#!/bin/sh
# Becomes a container on this machine, as far as a hook can tell: a new root made of bind mounts, in a
# mount namespace of its own (the caller's), so that the machine's own / stays as it is.
#
# enter.sh ROOT SHELL IDS MODE KIB [SOURCE TARGET]... -- ENVIRONMENT AND ARGV
# ROOT is an empty directory, SHELL becomes /bin/sh, IDS is uid:gid or "own". MODE is rw, or ro for a
# root that can only be read. Each SOURCE is seen at TARGET. KIB is 0, or the size of the last TARGET:
# then it is a small volume, filled from SOURCE and copied back in the end.
set -eu
root=$1 shell=$2 ids=$3 mode=$4 kib=$5
shift 5

mount --make-rprivate /
mount -t tmpfs container "$root"
for entry in /*; do
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ] && [ "$entry" != /quiescent ]; then
        mkdir "$root$entry"
        mount --rbind "$entry" "$root$entry"
        case $mode$entry in
        rw* | ro/proc | ro/sys | ro/dev) ;;
        *) mount -o remount,bind,ro "$root$entry" ;;
        esac
    fi
done
while [ "$1" != -- ]; do
    source=$1 target=$root$2
    mkdir -p "$target"
    mount --bind "$source" "$target"
    shift 2
done
shift
[ "$mode" = rw ] || mount -o remount,ro "$root"
# Before this line the shell is ours. The mount hides the file that /bin/sh leads to.
[ "$shell" = /bin/sh ] || mount --bind "$shell" "$(readlink -f "$root/bin/sh")"

[ "$ids" = own ] || set -- setpriv "--reuid=${ids%:*}" "--regid=${ids#*:}" --clear-groups "$@"
if [ "$kib" = 0 ]; then
    exec chroot "$root" "$@"
fi
mount -t tmpfs -o "size=${kib}k,mode=0777" small "$target"
cp -a "$source/." "$target"
code=0
chroot "$root" "$@" || code=$?
find "$source" -mindepth 1 -delete
cp -a "$target/." "$source"
exit "$code"
