#!/bin/sh
# Takes a snapshot of all keys over the replication protocol (--rdb), whatever the server's own
# persistence is, checks it, and only then replaces the last one. The server forks; clients go on.
# Replicas are skipped.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"

check=$(first_of valkey-check-rdb redis-check-rdb) || exit 2
begin_dump
connect 5
[ "$ROLE" != sentinel ] || skip_dump 'this is a sentinel, it has no keys' role=sentinel
[ "$ROLE" = master ] || skip_dump 'this server is a replica, its master dumps' role=replica
check_space

keyspace=$(cli info keyspace 2>/dev/null </dev/null)
count=$(printf '%s\n' "$keyspace" | keys)
expiring=$(printf '%s\n' "$keyspace" | expiring)
# The client tells each step that it takes; the last line says what went wrong.
error=$(cli --rdb "$NEW/dump.rdb" 2>&1 </dev/null) || case $error in
*NOPERM*) fail 2 "the server does not let us take a snapshot: the user needs +sync +psync +replconf: $(brief "$error")" ;;
*) gave_up 'the snapshot' "$(printf '%s' "$error" | tail -n 1)" ;;
esac
[ "$(left)" -gt 0 ] || gave_up 'the snapshot' "$error"
case $(dd if="$NEW/dump.rdb" bs=5 count=1 2>/dev/null) in
REDIS | VALKE) ;;
*) gave_up 'the snapshot' "no snapshot came: $error" ;;
esac
error=$(within "$check" "$NEW/dump.rdb" 2>&1) || gave_up 'checking the snapshot' "$error"

publish "server=$VERSION" role=primary "keys=$count" "expiring=$expiring"
ok role=primary "keys=$count" "bytes=$BYTES" "server=$VERSION"
