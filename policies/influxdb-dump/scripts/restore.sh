#!/bin/sh
# Loads the backup of pre.sh into a server that runs: databases that are not there, or that the image has
# made and nobody has written to; then their continuous queries and grants. It never touches data that it
# did not load itself: then it ends with 6 before it changes anything. A second run changes nothing.
# Without a dump it ends with 0. Users are not in it: InfluxDB gives nobody their passwords.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/influxdb.sh"

begin_restore
connect 300
say "loading the dump of $(manifest "$DUMP" began)"

load() { within influxd restore -portable -host "$RPC" "$DUMP" 2>&1 </dev/null; }

# Takes away the databases of the dump that are there and empty: the tool wants to make them itself.
drop_empty() {
    if [ ! -f "$DUMP/databases" ] || ! there=$(ask 'show databases'); then
        fail 6 "a database of the dump is there already, and we may not look into it: name the administrator in the parameters user and passwordEnv, or drop it and run the hook again if the dump is to replace it"
    fi
    printf '%s\n' "$there" | databases | grep -Fxf - "$DUMP/databases" >"$WORK/there"
    while IFS= read -r name; do
        measurements=$(ask 'show measurements limit 1' "$name") || gave_up "looking into database \"$name\"" "$measurements"
        [ -z "$measurements" ] || overwrites ||
            fail 6 "database \"$name\" has measurements that this hook did not load, or a load was cut off: nothing was changed; drop it, or set the parameter overwrite, and run the hook again if the dump is to replace it"
    done <"$WORK/there"
    while IFS= read -r name; do
        error=$(ask "drop database $(quoted "$name")") || gave_up "dropping the empty database \"$name\"" "$error"
    done <"$WORK/there"
}

if ! error=$(load); then
    case $error in
    *'may already exist'*) ;;
    *) gave_up 'loading the backup' "$(printf '%s\n' "$error" | tail -n 2)" ;;
    esac
    [ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"
    # It says the same of a dump of a server that had none.
    if [ ! -f "$DUMP/databases" ] || [ -s "$DUMP/databases" ]; then
        drop_empty
        error=$(load) || gave_up 'loading the backup' "$(printf '%s\n' "$error" | tail -n 2)"
    fi
fi
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"

missing=
for file in "$DUMP/queries" "$DUMP/grants"; do
    [ -f "$file" ] || continue
    while IFS= read -r statement; do
        error=$(ask "$statement") || case $error in
        *'user not found'*) missing="$missing ${statement##* TO }" ;;
        *) say "could not run $statement: $(brief "$error")" ;;
        esac
    done <"$file"
done
[ -z "$missing" ] || say "these users are not there, create them with their passwords and what $DUMP/grants says:$missing"
ok "dump=$ID" "shards=$(manifest "$DUMP" shards)"
