#!/bin/sh
# Lets the server clone its data into the dump volume, as files of one moment that a server can start
# on, and only then replaces the last clone. Writers go on. The clone has InnoDB tables alone, so others
# make the hook fail. Replicas are skipped by default. The plugin clone is installed where it is absent.
# Parameters: those of mysql.sh.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

need find
begin_dump
connect 5
case $VERSION in
*MariaDB*) fail 2 'MariaDB has no clone plugin: use the policy mariadb-backup' ;;
esac
leave_replicas
need_privileges SELECT BACKUP_ADMIN
look_for_others "'InnoDB', 'BLACKHOLE'"
[ -z "$OTHERS" ] ||
    fail 2 "a clone has InnoDB tables alone, and there are others: $OTHERS: alter them, or set the label quiescent.dev/method=dump"

data=$(sql 'select @@datadir' 2>&1) || gave_up 'asking where the data are' "$data"
[ -r "$data/ibdata1" ] ||
    fail 2 "user $(id -u) could not read what the server writes: run the container as root or as the user of the server"
expected=$(sql 'select sum(allocated_size) from information_schema.innodb_tablespaces' 2>&1) ||
    gave_up 'asking for the size of the data' "$expected"
check_space "$expected"

plugin=$(sql "select plugin_status from information_schema.plugins where plugin_name = 'clone'" 2>&1) ||
    gave_up 'asking for the plugin clone' "$plugin"
if [ "$plugin" != ACTIVE ]; then
    error=$(sql "install plugin clone soname 'mysql_clone.so'" 2>&1) ||
        fail 2 "the plugin clone cannot be installed, which takes the privilege INSERT on mysql.plugin: $(brief "$error")"
    say 'the plugin clone was not there: it is installed now, and stays'
fi

# The server goes on without the client that asked for it: when time is up, or after a run that was killed.
cloning() {
    sql "select pid from performance_schema.clone_status
        where state = 'In Progress' and destination like '/quiescent/dump/%'" 2>/dev/null
}
undo() {
    limit=$LIMIT
    LIMIT=$(($(date +%s) - BEGAN + 5)) # also when time is up
    while pid=$(cloning) && [ -n "$pid" ] && [ "$(left)" -gt 0 ]; do
        sql "kill query $pid" >/dev/null 2>&1
        sleep 1
    done
    LIMIT=$limit
}
undo

# The server's user writes here, and makes the folder itself.
error=$(chmod 711 "$STORE" 2>&1 && chmod 733 "$NEW" 2>&1) || gave_up "opening $NEW to the user of the server" "$error"
ask_position
# A clone whose hook was killed must not find its folder again.
target=$NEW/$BEGAN-$$
error=$(sql "clone local data directory = '$target'" 2>&1) || gave_up 'the clone' "$error"
state=$(sql 'select state from performance_schema.clone_status' 2>&1)
[ "$state" = Completed ] || gave_up 'the clone' "the server says that it is \"$state\""
error=$(chmod 700 "$NEW" 2>&1 && mv "$target" "$NEW/data" 2>&1) || gave_up 'the clone' "$error"

publish "server=$VERSION" "role=$ROLE" "position=$POSITION"
ok "role=$ROLE" "bytes=$BYTES" "server=$VERSION"
