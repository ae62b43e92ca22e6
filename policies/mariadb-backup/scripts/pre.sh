#!/bin/sh
# Copies the data of a MariaDB server into the dump volume with mariadb-backup, as files that the same
# version can make whole, and only then replaces the last backup. Writers go on, except for the moment
# in which the tool ends its copy of the log. Replicas are skipped by default.
# Parameters: those of mysql.sh.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

need find
tool=$(first_of mariadb-backup mariabackup) || exit 2
begin_dump
connect 5
leave_replicas

data=$(sql 'select @@datadir' 2>&1) || gave_up 'asking where the data are' "$data"
[ -r "$data/ibdata1" ] ||
    fail 2 "user $(id -u) cannot read $data: run the container as root or as the user of the server"
expected=$(sql 'select sum(allocated_size) from information_schema.innodb_sys_tablespaces' 2>&1) || expected=0
check_space "$expected"
ask_position

# A tool whose hook was killed goes on: it must not find its folder again.
target=$NEW/$BEGAN-$$
# All commits wait in the end until the log was looked at once more, by itself once a second. The tool gives
# its own reader of the log 5 s for that, and gives up where the machine has no time to spare: begin again, twice.
again=2
# shellcheck disable=SC2086 # the words of OVER have no blanks
until error=$(within "$tool" --backup $OVER --user="$ACCOUNT" --datadir="$data" --target-dir="$target" \
    --log-copy-interval=20 2>&1 </dev/null); do
    case $error in
    *'Was only able to copy log'*)
        if [ "$again" -gt 0 ] && [ "$(left)" -gt 0 ] && rm -rf "$target"; then
            again=$((again - 1))
            continue
        fi
        ;;
    esac
    gave_up 'the backup' "$(printf '%s\n' "$error" | tail -n 4)"
done
case $(printf '%s' "$error" | tail -n 1) in
*'completed OK!'*) ;;
*) gave_up 'the backup' "it does not say that it is complete: $(printf '%s\n' "$error" | tail -n 4)" ;;
esac

error=$(mv "$target" "$NEW/data" 2>&1) || gave_up 'the backup' "$error"

publish "server=$VERSION" "role=$ROLE" "position=$POSITION"
ok "role=$ROLE" "bytes=$BYTES" "server=$VERSION"
