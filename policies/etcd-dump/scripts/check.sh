#!/bin/sh
# Says whether a restored member is sound: it takes part in a read of its whole cluster, all that it keeps
# can be read, and its revision, which only grows, is no older than that of the dump beside it. Changes
# nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/etcd.sh"

need etcdctl
[ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
if [ -d "$VOLUME" ]; then
    [ -f "$STORE/current/manifest" ] || fail 1 "no finished dump came back in $STORE"
fi
connect 60
# A learner answers no reads, and is as far as its leader lets it be.
[ "$ROLE" != learner ] || skip role=learner

ETCDCTL_COMMAND_TIMEOUT=$(left)s
export ETCDCTL_COMMAND_TIMEOUT
# It reads every revision of every key.
error=$(within etcdctl endpoint hashkv 2>&1 </dev/null) || gave_up 'reading all keys' "$(reason "$error")"
recorded=$(manifest "$STORE/current" revision)
[ "$REVISION" -ge "${recorded:-0}" ] ||
    fail 1 "this member is at revision $REVISION, the dump is of revision $recorded"
ok "role=$ROLE" "revision=$REVISION" "recorded=${recorded:-0}" "server=$VERSION"
