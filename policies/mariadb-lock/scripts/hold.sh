#!/bin/sh
# Holds the files of a MariaDB still, from the line that says so until standard input ends: nobody
# commits, all pages are on disk, and in the end the log must stand where it stood in the beginning.
# Runs beside the server, in the container of a coordinator, and reaches it over TCP.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

WORK=/quiescent/coordinator/$POLICY
PHASE=pre
HOLDER=
# What puts the settings back that are changed for a while, also by whoever comes after a crash.
SETTINGS=$WORK.settings
undo() {
    LIMIT=$(($(date +%s) - BEGAN + 10)) # also when time is up
    exec 4>&-
    [ -z "$HOLDER" ] || wait "$HOLDER"
    put_back || say "these settings could not be put back now: $(brief "$(cat "$SETTINGS")")"
    rm -rf "$WORK"
}
put_back() {
    [ ! -s "$SETTINGS" ] || sql "$(cat "$SETTINGS")" || return
    rm -f "$SETTINGS"
}
set_for_now() {
    error=$(sql "select @@global.$1" 2>&1) || gave_up "asking for $1" "$error"
    echo "set global $1 = $error;" >>"$SETTINGS" || fail 1 "cannot write to ${WORK%/*}"
    error=$(sql "set global $1 = $2" 2>&1) || gave_up "setting $1 for a while" "$error"
}
# Standard input is for the end of the hold alone.
exec 3<&0 </dev/null

need mkfifo
connect 30
case $VERSION in
*MariaDB*) ;;
*) fail 2 "this server is no MariaDB: $VERSION" ;;
esac
look_for_others "'InnoDB', 'Aria', 'MyISAM', 'MEMORY', 'BLACKHOLE', 'CSV'"
[ -z "$OTHERS" ] || fail 2 "there are tables of engines that a read lock does not bring to disk: $OTHERS"

error=$(put_back 2>&1) || gave_up 'putting settings of an earlier run back' "$error"
# Statistics that are due by now are written up to 10 s later, whatever lock there is: nobody waits yet.
set_for_now innodb_stats_auto_recalc 0
sleep 11
# One client, which has the lock for as long as we write to it.
{ rm -rf "$WORK" && mkdir -p "$WORK" && mkfifo "$WORK/feed"; } || fail 1 "cannot write to ${WORK%/*}"
# shellcheck disable=SC2086 # words without blanks
"$CLIENT" $OVER --user="$ACCOUNT" --connect-timeout=5 --batch --raw --skip-column-names --unbuffered \
    <"$WORK/feed" >"$WORK/said" 2>&1 3<&- &
HOLDER=$!
exec 4>"$WORK/feed"
tell() { printf '%s\n' "$1" >&4; }
# Waits for the client's line that begins with a word; HEARD becomes the rest.
hear() {
    until HEARD=$(sed -n "s/^$1	//p" "$WORK/said" | tail -n 1) && [ -n "$HEARD" ]; do
        kill -0 "$HOLDER" 2>/dev/null || fail "$2" "the session with the lock has ended: $(brief "$(cat "$WORK/said")")"
        [ "$(left)" -gt 0 ] || gave_up 'the read lock' ''
        sleep 0.1 2>/dev/null || sleep 1
    done
}
# Behind a long transaction it would wait for ever, and everybody behind it.
tell "set session lock_wait_timeout = $(left);"
tell "set session wait_timeout = 2147483;"
tell 'flush tables with read lock;'
tell "select 'held', connection_id();"
hear held 1

status() {
    sql "select max(if(variable_name = 'INNODB_BUFFER_POOL_PAGES_DIRTY', variable_value, null)),
        max(if(variable_name = 'INNODB_LSN_CURRENT', variable_value, null))
        from information_schema.global_status" 2>&1
}
set_for_now innodb_max_dirty_pages_pct 0
LSN=
until
    before=$LSN
    now=$(status) || gave_up 'asking for the state of InnoDB' "$now"
    LSN=${now#*	}
    [ "${now%%	*}" = 0 ] && [ "$LSN" = "$before" ]
do
    [ "$(left)" -gt 0 ] || fail 4 "InnoDB still writes after $LIMIT s (${now%%	*} pages, log at $LSN): raise startTimeout, or look for what keeps it busy"
    sleep 1
done
echo "quiescent result=ok policy=$POLICY phase=$PHASE server=$VERSION lsn=$LSN seconds=$(($(date +%s) - BEGAN))"

cat <&3 >/dev/null

PHASE=post
BEGAN=$(date +%s)
LIMIT=20
# It is the session with the lock that says so: without it, somebody may have written.
tell "select 'still', variable_value from information_schema.global_status where variable_name = 'INNODB_LSN_CURRENT';"
hear still 5
[ "$HEARD" = "$LSN" ] ||
    fail 5 "InnoDB has written while its files were copied, its log went from $LSN to $HEARD: this backup is not good"
tell 'unlock tables;'
ok "server=$VERSION" "lsn=$LSN"
