#!/bin/sh
# Dumps the roles and every database (pg_dump -Fc, a file per database, named by its OID), checks what
# was written, and only then replaces the last dump. Consistent per database, not across them. Writers
# go on; a change of a dumped table's definition waits. Standbys are skipped unless asked for.
# Parameters: QUIESCENT_DATABASE (one instead of all), QUIESCENT_LOCK_WAIT, QUIESCENT_STANDBY.
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
choose_role
check_space

if [ "$SUPERUSER" = on ]; then
    set --
else
    say "user \"$PGUSER\" is no superuser: roles are dumped without their passwords"
    set -- --no-role-passwords
fi
error=$(within pg_dumpall -w --globals-only "$@" -f "$NEW/globals.sql" 2>&1 </dev/null) ||
    gave_up 'dumping the roles' "$error"

position=$(sql 'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end' 2>&1) ||
    gave_up 'asking for the position in the log' "$position"
# A connection limit of -2 marks what an interrupted DROP DATABASE has left.
oids=$(sql "select oid from pg_database where datallowconn and datconnlimit <> -2 and datname <> 'template0' order by oid" 2>&1) ||
    gave_up 'asking for the databases' "$oids"

# Ends the hook for a database that could not be dumped, with the way out where we know one.
undumped() {
    case $1 in
    *'lock timeout'* | *'statement timeout'*) fail 1 "a table of database \"$name\" was locked for longer than $lock_wait s: end what locks it, or raise the parameter lockWait: $(brief "$1")" ;;
    *'conflict with recovery'*) fail 1 "the standby ended the dump of database \"$name\" to go on replaying: raise its max_standby_streaming_delay, or let the primary dump: $(brief "$1")" ;;
    *'permission denied for large object'*) fail 2 "user \"$PGUSER\" may not read a large object of database \"$name\": run GRANT SELECT ON LARGE OBJECT for it, or dump as a superuser: $(brief "$1")" ;;
    *'row-level security'*) fail 2 "row-level security hides rows of database \"$name\" from user \"$PGUSER\": run ALTER ROLE \"$PGUSER\" BYPASSRLS as a superuser: $(brief "$1")" ;;
    *'permission denied'*) fail 2 "user \"$PGUSER\" may not read all of database \"$name\": run GRANT pg_read_all_data TO \"$PGUSER\" as a superuser (PostgreSQL 13: GRANT USAGE ON SCHEMA, and SELECT ON what is named here): $(brief "$1")" ;;
    esac
    gave_up "dumping database \"$name\"" "$1"
}

# Names are data: they go by variable, and files are named by OID.
databases=0
for oid in $oids; do
    PGDATABASE=postgres
    name=$(sql "select datname from pg_database where oid = $oid" 2>&1) || gave_up "asking for database $oid" "$name"
    [ -n "$name" ] || continue # dropped since
    [ "${QUIESCENT_DATABASE:-$name}" = "$name" ] || continue

    PGDATABASE=$name
    error=$(within pg_dump -w -Fc -Z1 --lock-wait-timeout="${lock_wait}s" -f "$NEW/$oid.dump" 2>&1 </dev/null) ||
        undumped "$error"
    error=$(within pg_restore -l "$NEW/$oid.dump" 2>&1 >/dev/null) || gave_up "reading the dump of \"$name\"" "$error"
    error=$(printf '%s\n' "$name" 2>&1 >"$NEW/$oid.name") || gave_up "dumping database \"$name\"" "$error"
    databases=$((databases + 1))
done
[ "$databases" -gt 0 ] ||
    fail 2 "there is no database \"${QUIESCENT_DATABASE:-}\" to dump: correct the parameter database"

publish "server=$VERSION" "role=$ROLE" "position=$position" "databases=$databases"
ok "role=$ROLE" "databases=$databases" "bytes=$BYTES" "server=$VERSION"
