#!/bin/sh
# Loads the dump of pre.sh into a new server. It never touches tables that it did not load itself: then
# it ends with 6 before it changes anything. A second run changes nothing. Without a dump, and on a
# replica, it ends with 0.
# shellcheck disable=SC2034 # LIMIT is the library's
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

begin_restore
connect 300
ask_role
if [ "$ROLE" != primary ]; then
    say "this server is a replica and was not loaded, but the dump of $(manifest "$DUMP" began) lies here: if the primary has no data, load it there by hand"
    skip role=replica
fi

# Gives the server back its settings as they were before the load, also after one that was killed.
undo() {
    [ -f "$STORE/settings" ] || return
    limit=$LIMIT
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    sql "$(cat "$STORE/settings")" >/dev/null 2>&1 && rm -f "$STORE/settings"
    LIMIT=$limit
}
undo

count=$(tables 2>&1) || gave_up 'counting the tables' "$count"
if [ "$count" != 0 ]; then
    [ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"
    overwrites ||
        fail 6 "there are $count tables that this hook did not load, or a load was cut off: nothing was changed; drop their databases, or set the parameter overwrite, and run the hook again if the dump is to replace them"
fi

# The dump has the server's own tables too, and those fit one version only.
series() { printf '%s' "$1" | sed 's/^\([0-9]*\.[0-9]*\).*\(MariaDB\).*/\1 \2/; s/^\([0-9]*\.[0-9]*\)\.[^ ]*$/\1/'; }
was=$(manifest "$DUMP" server)
[ "$(series "$was")" = "$(series "$VERSION")" ] ||
    fail 2 "the dump is of server $was, this one is $VERSION: start the version of the dump, restore, and upgrade then"
say "loading the dump of $(manifest "$DUMP" began)"

# The account that we come in with and the one of the image's health check keep the passwords that
# this container knows, whatever the dump says.
hex=
case $VERSION in
*MariaDB*) ;;
*) hex='set print_identified_with_as_hex = on; ' ;; # hashes are binary there
esac
sql "select concat(quote(user), '@', quote(host)) from mysql.user
    where user in ('healthcheck', substring_index(user(), '@', 1))" >"$WORK/accounts" 2>/dev/null
while read -r account; do
    sql "${hex}show create user $account" 2>/dev/null
done <"$WORK/accounts" | sed 's/^CREATE USER /ALTER USER IF EXISTS /; s/$/;/' >"$WORK/last.sql"
echo "flush privileges; select 'all was read';" >>"$WORK/last.sql" || fail 1 "cannot write to $STORE"

# A row of binary data is twice as long in the dump: what fitted into a statement once may not now. And
# a routine that is made anew would lose the privileges on it, which the dump has brought before.
sql "select concat('set global max_allowed_packet = ', @@global.max_allowed_packet,
    ', global automatic_sp_privileges = ', @@global.automatic_sp_privileges)" >"$WORK/settings" 2>/dev/null
mv "$WORK/settings" "$STORE/settings" || fail 1 "cannot write to $STORE"
error=$(sql 'set global max_allowed_packet = 1073741824, global automatic_sp_privileges = off' 2>&1) ||
    gave_up 'preparing the server for the load' "$error"
# What this server would refuse to have made has been there.
echo 'set innodb_strict_mode = off; /*!80013 set sql_require_primary_key = off */;' >"$WORK/first.sql" ||
    fail 1 "cannot write to $STORE"
if [ "$count" != 0 ]; then
    sql "select concat('drop database \`', replace(schema_name, '\`', '\`\`'), '\`;') from information_schema.schemata
        where schema_name not in ('mysql', 'sys', 'information_schema', 'performance_schema')" >>"$WORK/first.sql" ||
        gave_up 'asking for the databases' ''
fi

said=$({ cat "$WORK/first.sql" "$DUMP/all.sql" && cat "$WORK/last.sql"; } | client --binary-mode 2>&1) ||
    gave_up 'loading the dump' "$said"
said=$(printf '%s\n' "$said" | without_warnings)
[ "$said" = 'all was read' ] || fail 1 "loading the dump: $DUMP/all.sql could not be read to its end: $(brief "$said")"
count=$(tables 2>&1) || gave_up 'counting the tables' "$count"
[ "$count" = "$(manifest "$DUMP" tables)" ] ||
    fail 1 "after loading there are $count tables, the dump had $(manifest "$DUMP" tables): look at the log of the server"
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
ok "dump=$ID" "tables=$count"
