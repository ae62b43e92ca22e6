#!/bin/sh
# Dumps all databases and accounts of a MySQL or MariaDB server at one moment, checks what was written,
# and only then replaces the last dump. Writers go on; ALTER TABLE meanwhile makes the dump fail. Only
# where there are tables without transactions do all writes wait. Replicas are skipped by default.
# Parameters: those of mysql.sh, QUIESCENT_LOCK_WAIT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

# shellcheck disable=SC2086 # two names
dumper=$(first_of $DUMP_TOOLS) || exit 2
lock_wait=$(seconds "${QUIESCENT_LOCK_WAIT:-10s}") ||
    fail 2 "the parameter lockWait is \"$QUIESCENT_LOCK_WAIT\": write a duration such as 10s"

begin_dump
connect 5
leave_replicas
need_privileges SELECT 'SHOW VIEW' TRIGGER EVENT
check_space

count=$(tables 2>&1) || gave_up 'counting the tables' "$count"
look_for_others "'InnoDB'"
if [ -z "$OTHERS" ]; then
    set -- --single-transaction
else
    say "all writes wait while the dump runs, for tables that are not InnoDB: $OTHERS"
    # Behind a long query the tool would wait for its lock without end, and all writes behind it.
    error=$(sql "set lock_wait_timeout = $lock_wait; flush tables with read lock; unlock tables" 2>&1) || case $error in
    *'Lock wait timeout'*) fail 1 "a statement held a table for longer than $lock_wait s, and tables that are not InnoDB need all writes to wait: end it, or raise the parameter lockWait" ;;
    *) gave_up 'locking all tables' "$error" ;;
    esac
    set -- --lock-all-tables
fi
case $("$dumper" --version) in
*MariaDB*) ;;
*) set -- "$@" --set-gtid-purged=OFF ;; # the dump is for a server of its own
esac
ask_position

# shellcheck disable=SC2086 # the words of OVER have no blanks
error=$(within "$dumper" $OVER --user="$ACCOUNT" "$@" --all-databases --quick --routines --events \
    --triggers --hex-blob --flush-privileges --comments --no-tablespaces --max-allowed-packet=1G \
    --default-character-set=utf8mb4 --result-file="$NEW/all.sql" 2>&1 </dev/null) ||
    case $error in
    *'field count'* | *'definition has changed'*)
        fail 1 "a table was altered while the dump ran: run the backup again: $(brief "$error")"
        ;;
    *) gave_up 'the dump' "$error" ;;
    esac
case $(tail -n 1 "$NEW/all.sql") in
'-- Dump completed'*) ;;
*) gave_up 'the dump' 'the dump has no end: look for what ended the tool' ;;
esac

publish "server=$VERSION" "role=$ROLE" "position=$POSITION" "tables=$count"
ok "role=$ROLE" "tables=$count" "bytes=$BYTES" "server=$VERSION"
