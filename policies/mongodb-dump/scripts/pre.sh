#!/bin/sh
# Writes all databases and users into one archive, checks it, and only then replaces the last one.
# Clients go on. In a replica set it holds the oplog of that time too, so that a restore is of one
# moment: the end of the dump. Secondaries and arbiters are skipped, unless the parameter says so.
# Parameters: QUIESCENT_MEMBER.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mongodb.sh"

need mongodump od
member=${QUIESCENT_MEMBER:-primary}
begin_dump
connect 5
oplog=yes
case $ROLE in
primary | secondary)
    [ "$member" = any ] || [ "$member" = "$ROLE" ] ||
        skip_dump "this server is a $ROLE, the $member dumps" "role=$ROLE"
    ;;
standalone)
    oplog=no
    say 'a server without a replica set has no oplog: its collections are dumped one after another, not at one moment'
    ;;
arbiter) skip_dump 'an arbiter has no data' role=arbiter ;;
mongos | config) fail 2 "this is a $ROLE of a sharded cluster, whose parts must be saved at one moment: no hook of one pod can do that" ;;
*) fail 1 "this member of the replica set is $ROLE: wait until it is a primary or a secondary" ;;
esac
check_space

set -- --archive="$NEW/dump.archive"
[ "$oplog" = no ] || set -- "$@" --oplog
error=$(tool mongodump "$@") || case $error in
*'not authorized'* | *'nauthorized'*) fail 2 "the user \"$LOGIN\" may not dump: it needs the role backup: $(brief "$(reason "$error")")" ;;
*) gave_up 'the dump' "$(reason "$error")" ;;
esac
[ "$(left)" -gt 0 ] || gave_up 'the dump' ''
# An archive begins with a number of its own, and ends with the end of its last part.
ends="$(od -An -tx1 -N4 "$NEW/dump.archive") $(tail -c 4 "$NEW/dump.archive" | od -An -tx1)"
[ "$(echo "$ends" | tr -d ' \n')" = 6de29981ffffffff ] || gave_up 'the dump' "the archive is cut off: $(reason "$error")"
documents=0
for count in $(printf '%s\n' "$error" | sed -n 's/.*done dumping .*(\([0-9]*\) documents*)$/\1/p'); do
    documents=$((documents + count))
done

publish "server=$VERSION" "role=$ROLE" "oplog=$oplog" "position=$POSITION" "documents=$documents"
ok "role=$ROLE" "oplog=$oplog" "documents=$documents" "bytes=$BYTES" "server=$VERSION"
