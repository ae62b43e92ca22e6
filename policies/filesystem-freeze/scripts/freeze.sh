# shellcheck shell=sh disable=SC2034
# Which file systems the hooks freeze, and how they thaw them. Parameter: QUIESCENT_PATHS.
PATH=$PATH:/usr/sbin:/sbin
export PATH
WHY=

# The device of what is mounted at a path (the last one hides those below), nothing when it is no
# mount point. It is that of the file system, where stat would name a part of it.
device_at() {
    found=
    while read -r _ _ number _ point _; do
        [ "$point" != "$1" ] || found=$number
    done </proc/self/mountinfo
    echo "$found"
}

# Thaws all that the notes name, the last first.
let_go() {
    [ -f "$STORE/notes" ] || return 0
    paths=
    while read -r path; do
        paths="$path $paths"
    done <"$STORE/notes"
    left_frozen=
    for path in $paths; do
        if ! WHY=$(fsfreeze --unfreeze "$path" 2>&1); then
            case $WHY in
            *'nvalid argument'*) LOST="the file system at $path was frozen no more" ;;
            *) left_frozen=yes ;;
            esac
        fi
    done
    [ -z "$left_frozen" ]
}
