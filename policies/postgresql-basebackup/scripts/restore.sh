#!/bin/sh
# Puts the copy of pre.sh into an empty data directory before the server starts: in an init container of
# the server's own image, or by hand. It never touches data that it did not put there: then it ends with
# 6. Where the cluster of the copy lies already, and without a copy, it ends with 0, so that it may stay
# in the pod.
# Parameter: QUIESCENT_DATA, the data directory, where the container's PGDATA does not say it.
QUIESCENT_TIMEOUT=${QUIESCENT_TIMEOUT:-86400} # an init container has no time limit
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
PATH=$PATH:/opt/bitnami/postgresql/bin

find_dump
need pg_verifybackup pg_controldata tar stat find
data=${QUIESCENT_DATA:-${PGDATA:-${POSTGRESQL_DATA_DIR:-}}}
data=${data%/}
[ -n "$data" ] || fail 2 'nothing says where the data directory is: set QUIESCENT_DATA'
has=$(pg_verifybackup --version)
has=${has#*') '}
major=$(manifest "$DUMP" server)
major=${major%%.*}
[ "${has%%.*}" = "$major" ] ||
    fail 2 "the copy is of PostgreSQL $major, this image has $has: restore with an image of version $major"

# The data grow in here until they are whole, then PG_VERSION moves out last. So without a PG_VERSION
# beside it no server has run, and everything in the directories that it lists is ours.
part=$data/quiescent.part
tidy() {
    { cat "$part/claimed" && echo "$data"; } | while read -r claimed; do
        find "$claimed" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    done
}
# Puts on disk what was written; where sync knows no -f, all that the node has to write.
flush() { sync -f "$data" 2>/dev/null || sync; }
undo() { [ -z "$LOCKED" ] || [ ! -d "$part" ] || [ -e "$data/PG_VERSION" ] || tidy; }
finish() {
    rm -rf "$part"
    flush
    ok "dump=$ID" "data=$data"
}
if [ -e "$data/PG_VERSION" ] && [ ! -d "$part" ] &&
    [ "$(pg_controldata "$data" | sed -n 's/^Database system identifier: *//p')" = "$(manifest "$DUMP" system)" ]; then
    say "$data has the cluster of this copy already: empty it if it is to go back to $(manifest "$DUMP" began)"
    skip reason=already-there "dump=$(manifest "$DUMP" id)"
fi
begin_restore # reads the whole copy, so not before
if [ -d "$part" ]; then
    [ ! -e "$data/PG_VERSION" ] || finish
    say 'a restore before this one was cut off: tidying up after it'
    tidy
fi

# Makes sure that a directory is there, empty, and one that the server will take.
user=$(id -u)
claim() {
    error=$(mkdir -p "$1" 2>&1) || fail 2 "user $user cannot create $1: mount its volume there, and run as the user of the server: $error"
    [ "$user" = 0 ] || [ "$(stat -c %u "$1")" = "$user" ] ||
        fail 2 "$1 belongs to user $(stat -c %u "$1"), and PostgreSQL takes no directory of somebody else: run as that user"
    [ -z "$(ls -A "$1")" ] ||
        fail 6 "$1 has data that this script did not put there: they were not touched; empty it and run this again if the copy is to replace them"
}
[ -z "$(ls -A "$data" 2>/dev/null)" ] ||
    refuse "$data has data that this script did not put there: they were not touched; empty it and run this again if the copy is to replace them"
claim "$data"
owner=$user
if [ "$user" = 0 ]; then
    owner=$(stat -c %u "$data")
    [ "$owner" != 0 ] || owner=$(id -u postgres 2>/dev/null) ||
        fail 2 'PostgreSQL does not run as root, and this image has no user postgres: run as the user of the server'
fi

say "restoring the copy of $(manifest "$DUMP" began) into $data"
new=$part/data
error=$(mkdir -p "$new" 2>&1 && : 2>&1 >"$part/claimed") || fail 1 "cannot write to $data: $error"
unpack() {
    case $1 in
    *.gz) error=$(within tar -xzpf "$1" -C "$2" 2>&1) ;;
    *) error=$(within tar -xpf "$1" -C "$2" 2>&1) ;;
    esac || gave_up "unpacking ${1##*/} into $2" "$error"
}
unpack "$(echo "$DUMP"/base.tar*)" "$new"
unpack "$(echo "$DUMP"/pg_wal.tar*)" "$new/pg_wal"
# shellcheck disable=SC2162 # PostgreSQL writes these lines with backslashes before what is special
[ ! -f "$new/tablespace_map" ] || while read oid place; do
    claim "$place"
    printf '%s\n' "$place" >>"$part/claimed" || fail 1 "cannot write to $data"
    ln -sfn "$place" "$new/pg_tblspc/$oid" || fail 1 "cannot write to $data"
    unpack "$(echo "$DUMP/$oid".tar*)" "$place"
    [ "$user" != 0 ] || chown -R "$owner" "$place" || fail 1 "cannot give $place to user $owner"
done <"$new/tablespace_map"
error=$(within pg_verifybackup --quiet --manifest-path="$DUMP/backup_manifest" "$new" 2>&1) ||
    gave_up 'checking what was unpacked' "$error"
if [ -f "$new/standby.signal" ]; then
    say 'the copy is of a standby: the restored server is a primary'
    rm "$new/standby.signal"
fi

chmod 700 "$new" "$data" || fail 1 "cannot close $data to others, without which PostgreSQL does not start: run as the user who owns it"
[ "$user" != 0 ] || chown -R "$owner" "$new" "$data" || fail 1 "cannot give $data to user $owner"
find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv {} "$data" \; || fail 1 "cannot move the data into $data"
flush
mv "$new/PG_VERSION" "$data" || fail 1 "cannot move the data into $data"
finish
