#!/bin/sh
# Says whether a restored server is sound: it is no standby, every row of every database can be read,
# tables and indexes hold together (pg_amcheck, where the container has it), and no database or table of
# the dump beside it is missing. It adds the extension amcheck: run it in a copy alone.
# shellcheck disable=SC2034 # psql and pg_dump read PGDATABASE
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/postgresql.sh"

need psql pg_dump
[ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
if [ -d "$VOLUME" ]; then
    [ -f "$STORE/current/manifest" ] || fail 1 "no finished dump came back in $STORE"
fi
connect 60
[ "$STANDBY" = f ] || fail 1 'this server is a standby: it does not take writes by itself'

# The tables of the database that PGDATABASE names, without those of the server itself.
count_tables() {
    sql "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'" 2>&1
}

oids=$(sql "select oid from pg_database where datallowconn and datconnlimit <> -2 and datname <> 'template0' order by oid" 2>&1) ||
    gave_up 'asking for the databases' "$oids"
databases=0
tables=0
for oid in $oids; do
    PGDATABASE=postgres
    name=$(sql "select datname from pg_database where oid = $oid" 2>&1) || gave_up "asking for database $oid" "$name"
    PGDATABASE=$name
    error=$(within pg_dump -w -Fp 2>&1 >/dev/null </dev/null) || gave_up "reading all of database \"$name\"" "$error"
    here=$(count_tables) || gave_up "counting the tables of database \"$name\"" "$here"
    tables=$((tables + here))
    databases=$((databases + 1))
done

# What the dump had, by the names in it.
recorded=0
for file in "$STORE"/current/*.dump; do
    [ -f "$file" ] || continue
    PGDATABASE=$(cat "${file%.dump}.name")
    here=$(count_tables) || fail 1 "database \"$PGDATABASE\" of the dump did not come back: $(brief "$here")"
    list=$(within pg_restore -l "$file" 2>&1) || gave_up "reading the dump of \"$PGDATABASE\"" "$list"
    there=$(printf '%s\n' "$list" | grep -E '^[0-9]+; [0-9]+ [0-9]+ TABLE ' | grep -cvE ' TABLE (DATA|ATTACH) ')
    [ "$here" -ge "$there" ] ||
        fail 1 "database \"$PGDATABASE\" has $here tables, its dump has $there"
    recorded=$((recorded + 1))
done

PGDATABASE=postgres
amcheck=no
# What the tool asks for, servers have since PostgreSQL 14.
if [ "$SUPERUSER" = on ] && command -v pg_amcheck >/dev/null &&
    [ "$(sql "select count(*) from pg_available_extensions where name = 'amcheck'
        and current_setting('server_version_num')::int >= 140000" 2>/dev/null)" = 1 ]; then
    # What it finds stands on stdout.
    error=$(within pg_amcheck -w --all --install-missing 2>&1 </dev/null) || gave_up 'pg_amcheck' "$error"
    amcheck=yes
fi
ok "databases=$databases" "tables=$tables" "recorded=$recorded" "amcheck=$amcheck" "server=$VERSION"
