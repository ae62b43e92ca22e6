#!/bin/sh
# Takes a snapshot of all keys over the replication protocol (--rdb), whatever the server's own
# persistence is, checks it, and only then replaces the last one. The server forks; clients go on.
# Replicas are skipped.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"

begin_dump
connect 5
[ "$ROLE" = master ] || skip_dump 'this server is a replica, its master dumps' role=replica
check_space

count=$(cli info keyspace 2>/dev/null </dev/null | keys)
# The client tells each step that it takes; the last line says what went wrong.
error=$(cli --rdb "$NEW/dump.rdb" 2>&1 </dev/null) || gave_up 'the snapshot' "$(printf '%s' "$error" | tail -n 1)"
[ "$(left)" -gt 0 ] || gave_up 'the snapshot' "$error"
case $(dd if="$NEW/dump.rdb" bs=5 count=1 2>/dev/null) in
REDIS | VALKE) ;;
*) gave_up 'the snapshot' "no snapshot came: $error" ;;
esac
error=$(within "$CHECK" "$NEW/dump.rdb" 2>&1) || gave_up 'checking the snapshot' "$error"

publish "server=$VERSION" role=primary "keys=$count"
ok role=primary "keys=$count" "bytes=$BYTES" "server=$VERSION"
