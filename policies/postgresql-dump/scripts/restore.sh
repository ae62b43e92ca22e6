#!/bin/sh
# Loads the dump of pre.sh into a new server: roles, then each database that is absent or empty. It
# never touches data that it did not load itself: then it ends with 6 before it changes anything.
# A second run changes nothing. Without a dump, and on a standby, it ends with 0.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/postgresql.sh"

begin_restore
need psql pg_restore
connect 300
if [ "$STANDBY" != f ]; then
    say "this server is a standby and was not loaded, but the dump of $(manifest "$DUMP" began) lies here: if the primary has no data, load it there by hand"
    skip role=standby
fi

server=$(sql 'select system_identifier from pg_control_system()' 2>&1) || gave_up 'asking who the server is' "$server"

# What somebody made: relations, functions and large objects, not those of PostgreSQL or an extension.
objects() {
    mine="n.nspname not in ('information_schema') and n.nspname not like 'pg\\_%'"
    sql "select (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where $mine and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and not exists (select from pg_depend d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))
        + (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where $mine and not exists (select from pg_depend d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
        + (select count(*) from pg_largeobject_metadata)"
}

# A database grows under a name that no application asks for, and gets its own when it is whole. The note
# has its OID: where that has the name, a run that was killed had done its work.
named() {
    # psql puts a variable into a statement, quoted, only when it reads from stdin.
    within psql -XAtqw -v name="$1" 2>&1 <<'SQL'
select oid from pg_database where datname = :'name'
SQL
}
rename() {
    for attempt in 1 2 3 4 5; do
        error=$(within psql -XAtqw -v ON_ERROR_STOP=1 -v old="$1" -v new="$2" 2>&1 <<'SQL'
alter database :"old" rename to :"new"
SQL
        ) && return
        # Whoever has come in meanwhile keeps it from being renamed.
        sql "select pg_terminate_backend(pid) from pg_stat_activity where datid = $grown" >/dev/null 2>&1
        sleep "$attempt"
    done
    gave_up "renaming database \"$1\" to \"$2\"" "$error"
}
drop_aside() {
    sql "update pg_database set datistemplate = false where datname = 'quiescent-restore-$1'" >/dev/null 2>&1
    sql "drop database if exists \"quiescent-restore-$1\" with (force)" >/dev/null 2>&1
}
aside=
undo() {
    [ -n "$aside" ] || return
    limit=$LIMIT
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    PGDATABASE=postgres
    drop_aside "$aside"
    LIMIT=$limit
}
loaded() { echo "$ID $server $1" >>"$STORE/loaded" || fail 1 "cannot write to $STORE"; }
if read -r id of oid grown 2>/dev/null <"$STORE/growing" && [ -f "$DUMP/$oid.name" ]; then
    there=$(named "$(cat "$DUMP/$oid.name")") || gave_up 'looking for what was loaded' "$there"
    [ "$id $of $grown" != "$ID $server $there" ] || loaded "$oid"
fi
rm -f "$STORE/growing"

# What this dump holds and this server lacks; all is looked at before anything is changed.
todo=
for file in "$DUMP"/*.dump; do
    oid=${file##*/}
    oid=${oid%.dump}
    ! grep -qxF "$ID $server $oid" "$STORE/loaded" 2>/dev/null || continue
    todo="$todo $oid"
    PGDATABASE=$(cat "$DUMP/$oid.name")
    count=$(objects 2>&1) || case $count in
    *'does not exist'*) count=0 ;;
    *) gave_up "looking into database \"$PGDATABASE\"" "$count" ;;
    esac
    [ "$count" = 0 ] || overwrites ||
        fail 6 "database \"$PGDATABASE\" has $count objects that this hook did not load, or a load was cut off: nothing was changed; drop it, or set the parameter overwrite, and run the hook again if the dump is to replace it"
done
PGDATABASE=postgres
[ -n "$todo" ] || skip reason=already-loaded "dump=$ID"
say "loading the dump of $(manifest "$DUMP" began)"

# The role that we come in with keeps the password of its Secret, whatever the dump says.
grep -vF -e "ROLE $PGUSER;" -e "ROLE \"$PGUSER\";" -e "ALTER ROLE $PGUSER WITH " -e "ALTER ROLE \"$PGUSER\" WITH " \
    "$DUMP/globals.sql" >"$WORK/globals.sql" || fail 1 "cannot read $DUMP/globals.sql"
errors=$(within psql -Xqw -f "$WORK/globals.sql" 2>&1 >/dev/null </dev/null) || gave_up 'loading the roles' "$errors"
# Roles that the image made are there already.
errors=$(printf '%s\n' "$errors" | grep -E 'ERROR|FATAL' | grep -v 'already exists')
[ -z "$errors" ] || fail 1 "loading the roles: $(brief "$errors")"

# Takes away an empty database, so that it returns with its owner, encoding and settings. Whoever is
# connected is sent away, and may come back with a schema of their own: look again each time.
drop_empty() {
    for attempt in 1 2 3 4 5; do
        PGDATABASE=$name
        [ "$(objects 2>&1)" = 0 ] || overwrites ||
            fail 6 "database \"$name\" was filled by somebody else just now: stop the application, drop the database, run the hook again"
        PGDATABASE=postgres
        # By OID and format(): the name never becomes part of a statement of ours.
        drop=$(sql "select format('drop database %I', datname) from pg_database where oid = $1" 2>&1) &&
            sql "update pg_database set datistemplate = false where oid = $1" >/dev/null 2>&1 &&
            drop=$(sql "$drop" 2>&1) && return 0
        sql "select pg_terminate_backend(pid) from pg_stat_activity where datid = $1" >/dev/null 2>&1
        sleep "$attempt"
    done
    gave_up "dropping the empty database \"$name\", to load it with its owner and settings" "$drop"
}

# These two cannot be dropped while we are connected to one of them; what --create would have set
# (owner, settings, privileges) follows from the archive's entries about the database itself.
load_in_place() {
    set --
    ! overwrites || set -- --clean --if-exists
    error=$(within pg_restore -w --exit-on-error --single-transaction "$@" -d "$name" "$file" 2>&1 </dev/null) ||
        gave_up "loading database \"$name\"" "$error"
    pg_restore -C -l "$file" | grep -E '; [0-9]+ [0-9]+ (ACL|COMMENT) - DATABASE ' >"$WORK/list"
    error=$(pg_restore -C -L "$WORK/list" -f "$WORK/all.sql" "$file" 2>&1 </dev/null) ||
        gave_up "reading the settings of database \"$name\"" "$error"
    grep -v '^CREATE DATABASE ' "$WORK/all.sql" >"$WORK/settings.sql"
    error=$(within psql -Xqw -v ON_ERROR_STOP=1 -f "$WORK/settings.sql" 2>&1 >/dev/null </dev/null) ||
        gave_up "setting up database \"$name\"" "$error"
}

# Loads a database aside, so that nobody meets one that is not whole.
load_aside() {
    drop_aside "$oid"
    # First the database alone, with its owner, encoding, settings and privileges.
    pg_restore -C -l "$file" |
        grep -E '; [0-9]+ [0-9]+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) ' >"$WORK/list"
    error=$(pg_restore -C -L "$WORK/list" -f "$WORK/database.sql" "$file" 2>&1 </dev/null) ||
        gave_up "reading the settings of database \"$name\"" "$error"
    error=$(within psql -Xqw -v ON_ERROR_STOP=1 -f "$WORK/database.sql" 2>&1 >/dev/null </dev/null) ||
        gave_up "creating database \"$name\"" "$error"
    grown=$(named "$name") || gave_up "looking for database \"$name\"" "$grown"
    rename "$name" "quiescent-restore-$oid"
    aside=$oid
    error=$(within pg_restore -w --exit-on-error -d "quiescent-restore-$oid" "$file" 2>&1 </dev/null) ||
        gave_up "loading database \"$name\"" "$error"
    echo "$ID $server $oid $grown" >"$STORE/growing" || fail 1 "cannot write to $STORE"
    rename "quiescent-restore-$oid" "$name"
    aside=
}

databases=0
for oid in $todo; do
    file=$DUMP/$oid.dump
    name=$(cat "$DUMP/$oid.name")
    case $name in
    postgres | template1) load_in_place ;;
    *)
        present=$(named "$name") || gave_up "looking for database \"$name\"" "$present"
        [ -z "$present" ] || drop_empty "$present"
        load_aside
        ;;
    esac
    loaded "$oid"
    rm -f "$STORE/growing"
    databases=$((databases + 1))
done
ok "dump=$ID" "databases=$databases"
