#!/bin/sh
# Says whether a restored server is sound: it answers, it has read its files to their end, and it has as
# many keys as the dump beside it had, but for those that may have expired since. Changes nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"

[ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
if [ -d "$VOLUME" ]; then
    [ -f "$STORE/current/manifest" ] || fail 1 "no finished dump came back in $STORE"
fi
connect 60
[ "$ROLE" != sentinel ] || skip role=sentinel
loading=$(field persistence loading)
[ "$loading" = 0 ] || fail 1 "the server is still reading its files (loading is \"$loading\")"
count=$(cli info keyspace 2>/dev/null </dev/null | keys)
recorded=$(manifest "$STORE/current" keys)
expiring=$(manifest "$STORE/current" expiring)
[ "$count" -ge $((${recorded:-0} - ${expiring:-0})) ] ||
    fail 1 "there are $count keys, the dump has $recorded, of which $expiring may have expired"
ok "role=$ROLE" "keys=$count" "recorded=${recorded:-0}" "server=$VERSION"
