#!/bin/sh
# Dumps the roles and every database (pg_dump -Fc, a file per database, named by its OID), checks what
# was written, and only then replaces the last dump. Consistent per database, not across them. Writers
# go on; a change of a dumped table's definition waits. Standbys are skipped.
# Parameters: QUIESCENT_DATABASE (one instead of all), QUIESCENT_LOCK_WAIT.
# shellcheck disable=SC2034 # psql and pg_dump read PGDATABASE
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/postgresql.sh"

need psql pg_dump pg_dumpall pg_restore
lock_wait=$(seconds "${QUIESCENT_LOCK_WAIT:-1m}") ||
    fail 2 "the parameter lockWait is \"$QUIESCENT_LOCK_WAIT\": write a duration such as 1m"

begin_dump
connect 5
[ "$STANDBY" = f ] || skip_dump 'this server is a standby, its primary dumps' role=standby
check_space

if [ "$SUPERUSER" = on ]; then
    set --
else
    say "user \"$PGUSER\" is no superuser: roles are dumped without their passwords"
    set -- --no-role-passwords
fi
error=$(within pg_dumpall -w --globals-only "$@" -f "$NEW/globals.sql" 2>&1 </dev/null) ||
    gave_up 'dumping the roles' "$error"

position=$(sql 'select pg_current_wal_lsn()' 2>&1) || gave_up 'asking for the position in the log' "$position"
oids=$(sql "select oid from pg_database where datallowconn and datname <> 'template0' order by oid" 2>&1) ||
    gave_up 'asking for the databases' "$oids"

# Names are data: they go by variable, and files are named by OID.
databases=0
for oid in $oids; do
    PGDATABASE=postgres
    name=$(sql "select datname from pg_database where oid = $oid" 2>&1) || gave_up "asking for database $oid" "$name"
    [ -n "$name" ] || continue # dropped since
    [ "${QUIESCENT_DATABASE:-$name}" = "$name" ] || continue

    PGDATABASE=$name
    error=$(within pg_dump -w -Fc -Z1 --lock-wait-timeout="${lock_wait}s" -f "$NEW/$oid.dump" 2>&1 </dev/null) || {
        case $error in
        *'lock timeout'* | *'statement timeout'*) fail 1 "a table of database \"$name\" was locked for longer than $lock_wait s: end what locks it, or raise the parameter lockWait: $(brief "$error")" ;;
        esac
        gave_up "dumping database \"$name\"" "$error"
    }
    error=$(within pg_restore -l "$NEW/$oid.dump" 2>&1 >/dev/null) || gave_up "reading the dump of \"$name\"" "$error"
    error=$(printf '%s\n' "$name" 2>&1 >"$NEW/$oid.name") || gave_up "dumping database \"$name\"" "$error"
    databases=$((databases + 1))
done
[ "$databases" -gt 0 ] ||
    fail 2 "there is no database \"${QUIESCENT_DATABASE:-}\" to dump: correct the parameter database"

publish "server=$VERSION" role=primary "position=$position" "databases=$databases"
ok role=primary "databases=$databases" "bytes=$BYTES" "server=$VERSION"
