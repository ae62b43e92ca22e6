#!/bin/sh
# Loads the LDIF of pre.sh with slapadd, before slapd starts: to be run by an init container. Where the
# configuration is a folder and that is empty, it is loaded too. It never touches a database that is
# there: then it ends with 6 before it changes anything. A second run changes nothing. Without a dump it
# ends with 0. Parameter: QUIESCENT_CONFIG.
QUIESCENT_TIMEOUT=${QUIESCENT_TIMEOUT:-86400} # an init container has no time limit
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/openldap.sh"

begin_restore
need slapadd
[ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"
# Where it was, unless somebody says otherwise: what the tools would take by themselves may be the image's.
CONFIG=${QUIESCENT_CONFIG:-$(manifest "$DUMP" config)}
! of_running | grep -qxF "$CONFIG" || fail 2 'slapd runs in this container: slapadd must have the files alone, stop it first'

OPTION=-F
[ ! -f "$DUMP/slapd.conf" ] || OPTION=-f
set -- "$OPTION" "$CONFIG"

# A run that was cut off: no slapd has run since, and what lies there is a part of the dump.
again=
if read -r begun configured 2>/dev/null <"$STORE/loading" && [ "$begun" = "$ID" ]; then
    again=yes
    [ "$configured" != new ] || find "$CONFIG" -mindepth 1 -exec rm -rf {} + 2>/dev/null
fi

# The configuration that is there says where the data belong; where there is none, the one of the dump.
new=
if [ "$OPTION" = -f ]; then
    [ -f "$CONFIG" ] || fail 2 "there is no $CONFIG: mount the configuration of slapd, or correct the parameter config"
    databases_of_file "$CONFIG" >"$WORK/databases"
elif [ -n "$(ls -A "$CONFIG" 2>/dev/null)" ]; then
    error=$(within slapcat "$@" -n 0 -o ldif-wrap=no -l "$WORK/0.ldif" 2>&1 </dev/null) || gave_up "reading $CONFIG" "$error"
    databases "$WORK/0.ldif" >"$WORK/databases"
else
    new=new
    databases "$DUMP/0.ldif" >"$WORK/databases"
fi

while read -r number _ directory; do
    [ -n "$directory" ] || continue
    [ -z "$again" ] || rm -rf "$directory"/data.mdb "$directory"/lock.mdb "$directory"/*.bdb "$directory"/*.ldif
    for there in "$directory"/data.mdb "$directory"/*.bdb "$directory"/*.ldif; do
        [ ! -e "$there" ] ||
            refuse "$there is there and was not put there by this hook: nothing was changed; empty $directory and run the hook again if the dump is to replace it"
    done
done <"$WORK/databases"
say "loading the dump of $(manifest "$DUMP" began)"

echo "$ID $new" >"$STORE/loading" || fail 1 "cannot write to $STORE"
while read -r number _ directory; do
    [ -n "$directory" ] || continue
    error=$(mkdir -p "$directory" 2>&1) || fail 1 "cannot create $directory: $(brief "$error")"
done <"$WORK/databases"
if [ -n "$new" ]; then
    error=$(mkdir -p "$CONFIG" 2>&1) || fail 1 "cannot create $CONFIG: $(brief "$error")"
    error=$(within slapadd "$@" -n 0 -l "$DUMP/0.ldif" 2>&1 </dev/null) || gave_up "loading the configuration into $CONFIG" "$error"
    # slapd must own what root has loaded.
    [ "$(id -u)" != 0 ] || chown -R "$(cat "$DUMP"/*.owner | head -n 1)" "$CONFIG"
fi

count=0
while read -r number _ directory; do
    [ -f "$DUMP/$number.ldif" ] || continue
    error=$(within slapadd -q "$@" -n "$number" -l "$DUMP/$number.ldif" 2>&1 </dev/null) ||
        gave_up "loading database $number" "$error"
    [ "$(id -u)" != 0 ] || [ -z "$directory" ] || chown -R "$(cat "$DUMP/$number.owner")" "$directory"
    count=$((count + 1))
done <"$WORK/databases"
sync
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
rm -f "$STORE/loading"
ok "dump=$ID" "databases=$count" "entries=$(manifest "$DUMP" entries)"
