#!/bin/sh
# Lets rewrites of the append-only file begin again, and says whether none did since pre.sh: if one
# did, or the server started anew, the copy of that file may not load, and this hook ends with 5.
# shellcheck disable=SC2153 # PERCENTAGE is in hold.sh
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"

open_store
connect 5
[ "$ROLE" != sentinel ] || skip role=sentinel
if [ -f "$HELD" ]; then
    percentage=$(setting "$PERCENTAGE")
    state=$(append_only_state)
fi
if release "$STORE/released"; then
    was=$(held "$STORE/released" state)
    rm -f "$STORE/released" "$STORE/expired"
    [ -n "$was" ] || fail 1 'the pre hook did not come to its end: this backup is not good, see what it said'
    [ "$percentage $state" = "0 $was" ] ||
        fail 5 'the append-only file was rewritten while the volume was taken, or the server started anew: this backup is not good, take another'
    ok append-only=held "server=$VERSION"
fi
if [ -f "$STORE/expired" ]; then
    [ "$(setting "$PERCENTAGE")" != 0 ] || put_back "$STORE/expired" || stuck "$STORE/expired"
    rm -f "$STORE/expired"
    fail 5 'rewrites of the append-only file were allowed again before the volume was taken: this backup is not good; raise the parameter holdLimit and take another'
fi
[ "$(field persistence aof_enabled)" != 1 ] ||
    fail 1 'no rewrite of the append-only file was held back: see what the pre hook said'
ok append-only=no "server=$VERSION"
