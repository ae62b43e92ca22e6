#!/bin/sh
# Dumps all databases and accounts of a MySQL or MariaDB server at one moment, checks what was written,
# and only then replaces the last dump. Writers go on; ALTER TABLE meanwhile makes the dump fail. Only
# where there are tables without transactions do all writes wait. Replicas are skipped.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

dumper=$(first_of mariadb-dump mysqldump) || exit 2
begin_dump
connect 5
[ -z "$REPLICA" ] || skip_dump 'this server is a replica, its primary dumps' role=replica
check_space

count=$(tables '' 2>&1) || gave_up 'counting the tables' "$count"
unsafe=$(tables "and table_type = 'BASE TABLE' and engine <> 'InnoDB'" 2>&1) || gave_up 'counting the tables' "$unsafe"
if [ "$unsafe" = 0 ]; then
    set -- --single-transaction
else
    say "$unsafe tables are not InnoDB: all writes wait while the dump runs"
    set -- --lock-all-tables
fi
case $("$dumper" --version) in
*MariaDB*) ;;
*) set -- "$@" --set-gtid-purged=OFF ;; # the dump is for a server of its own
esac

# shellcheck disable=SC2086 # the words of OVER have no blanks
error=$(within "$dumper" $OVER --user="$ACCOUNT" "$@" --all-databases --quick --routines --events \
    --triggers --hex-blob --flush-privileges --comments --default-character-set=utf8mb4 \
    --result-file="$NEW/all.sql" 2>&1 </dev/null) ||
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

publish "server=$VERSION" role=primary "tables=$count"
ok role=primary "tables=$count" "bytes=$BYTES" "server=$VERSION"
