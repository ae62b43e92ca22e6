#!/bin/sh
# Puts the copies that pre.sh made where the files were, before the application starts: to be run by an
# init container. It never touches a file that is there: then it ends with 6 before it changes anything.
# A second run changes nothing. Without a dump it ends with 0.
QUIESCENT_TIMEOUT=${QUIESCENT_TIMEOUT:-86400} # an init container has no time limit
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

begin_restore
[ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"

# Put there by a run that was cut off: nobody has written since.
is_there() {
    [ ! -e "$file-wal" ] && [ ! -e "$file-journal" ] && cmp -s "$DUMP/$number.db" "$file"
}
numbered() {
    number=${path##*/}
    number=${number%.path}
}

# A log or journal beside the file belongs to another file than the one in the dump, and would spoil it.
for path in "$DUMP"/*.path; do
    file=$(cat "$path")
    numbered
    ! is_there || continue
    for there in "$file" "$file-wal" "$file-journal"; do
        [ ! -e "$there" ] ||
            refuse "$there is there and was not put there by this hook: nothing was changed; move it away and run the hook again if the dump is to replace it"
    done
done
say "loading the dump of $(manifest "$DUMP" began)"

files=0
for path in "$DUMP"/*.path; do
    file=$(cat "$path")
    numbered
    if is_there; then
        files=$((files + 1))
        continue
    fi
    read -r owner mode <"$DUMP/$number.owner" || fail 1 "cannot read $DUMP/$number.owner"
    error=$(mkdir -p "${file%/*}/" 2>&1) || fail 1 "cannot create the folder of $file: $(brief "$error")"
    error=$(within cp "$DUMP/$number.db" "$file.part" 2>&1) || {
        rm -f "$file.part"
        [ "$(left)" -gt 0 ] || gave_up "copying $file" ''
        fail 1 "cannot write $file: $(brief "$error")"
    }
    chmod "$mode" "$file.part"
    # Only root can give files away; anybody else runs as the application does.
    [ "$(id -u)" != 0 ] || chown "$owner" "$file.part"
    mv "$file.part" "$file" || fail 1 "cannot write $file"
    files=$((files + 1))
done
sync
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
ok "dump=$ID" "files=$files"
