#!/bin/sh
# Takes etcd's own snapshot of all keys, checks it, and only then replaces the last one. Clients go on.
# Each member of a cluster has all keys, and each dumps unless the parameter says leader: one that
# changes between two pods would leave none. Learners are skipped.
# Parameters: QUIESCENT_MEMBER.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/etcd.sh"

need etcdctl
utl=$(first_of etcdutl etcdctl) || exit 2
begin_dump
connect 5
[ "$ROLE" != learner ] || skip_dump 'this member is a learner, the others dump' role=learner
[ "${QUIESCENT_MEMBER:-all}" = all ] || [ "$ROLE" = leader ] ||
    skip_dump 'this member is a follower, the leader dumps' role=follower
check_space
[ "$(free)" -ge $((SIZE / 1024)) ] || gave_up 'the snapshot' 'No space left'

error=$(within etcdctl snapshot save "$NEW/snapshot.db" 2>&1 </dev/null) || case $error in
*'permission denied'*) fail 2 "etcd does not let this user take a snapshot: it needs the role root: $(reason "$error")" ;;
*) gave_up 'the snapshot' "$(printf '%s\n' "$error" | grep -v '^{"level":"info"')" ;;
esac
status=$(within "$utl" snapshot status "$NEW/snapshot.db" -w json 2>&1 </dev/null) ||
    gave_up 'checking the snapshot' "$(printf '%s\n' "$status" | head -n 3)"
number() { printf '%s\n' "$status" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
keys=$(number totalKey)
[ -n "$keys" ] || fail 1 "the snapshot cannot be read: $(brief "$status")"

publish "server=$VERSION" "role=$ROLE" "member=$MEMBER" "revision=$REVISION" "keys=$keys"
ok "role=$ROLE" "revision=$REVISION" "keys=$keys" "bytes=$BYTES" "server=$VERSION"
