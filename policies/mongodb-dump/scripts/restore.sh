#!/bin/sh
# Loads the archive of pre.sh into a new server or the primary of its replica set, wherever in the set
# this pod is: with the oplog, so that it is of one moment. It never touches databases that it did not
# load itself: then it ends with 6 before it changes anything. A second run changes nothing. Without a
# dump, and on an arbiter, it ends with 0.
# shellcheck disable=SC2034 # ADDRESS and PORT are for mongodb.sh
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mongodb.sh"

begin_restore
need mongorestore
connect 300
case $ROLE in
primary | standalone) ;;
secondary)
    [ -n "$PRIMARY" ] || fail 1 'the replica set has no primary: run the hook again when it has one'
    ADDRESS=${PRIMARY%:*}
    PORT=${PRIMARY##*:}
    ;;
arbiter) skip role=arbiter ;;
*) fail 2 "this is a $ROLE of a sharded cluster: load $DUMP/dump.archive by hand" ;;
esac
[ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"

answer "var h = {}; $LOG_IN var found = [];
    run({listDatabases: 1}).databases.forEach(function(d) { if (['admin', 'config', 'local'].indexOf(d.name) < 0) found.push(d.name) });
    print('quiescent|' + found.length + '|' + found.slice(0, 3).join(', '))" || gave_up 'asking for the databases' "$ANSWER"
[ "${ANSWER%%|*}" = 0 ] || overwrites ||
    fail 6 "there are databases that this hook did not load, or a load was cut off (${ANSWER#*|}): nothing was changed; drop them, or set the parameter overwrite, and run the hook again if the dump is to replace them"
say "loading the dump of $(manifest "$DUMP" began)"
if [ "${ANSWER%%|*}" != 0 ]; then
    answer "var h = {}; $LOG_IN var failed = [];
        run({listDatabases: 1}).databases.forEach(function(d) { if (['admin', 'config', 'local'].indexOf(d.name) < 0 && !db.getSiblingDB(d.name).dropDatabase().ok) failed.push(d.name) });
        print('quiescent|' + failed.length + '|' + failed.slice(0, 3).join(', '))" || gave_up 'dropping the databases' "$ANSWER"
    [ "${ANSWER%%|*}" = 0 ] || fail 1 "these databases could not be dropped: ${ANSWER#*|}"
fi

set -- --archive="$DUMP/dump.archive" --stopOnError
[ "$(manifest "$DUMP" oplog)" != yes ] || set -- "$@" --oplogReplay
error=$(tool mongorestore "$@") || case $error in
*'not authorized'* | *'nauthorized'*) fail 2 "the user \"$LOGIN\" may not load: it needs the privileges that the page of this policy names: $(brief "$(reason "$error")")" ;;
*) gave_up 'loading the dump' "$(reason "$error")" ;;
esac
[ "$(left)" -gt 0 ] || gave_up 'loading the dump' ''
case $error in
*E11000* | *[1-9]' document(s) failed'*) fail 1 "not all documents were loaded: $(brief "$(reason "$error")")" ;;
esac
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
ok "dump=$ID" "documents=$(manifest "$DUMP" documents)"
