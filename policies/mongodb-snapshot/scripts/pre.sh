#!/bin/sh
# Makes sure that a snapshot of the data volume taken now is worth having: the server is well, keeps a
# journal, all of its files lie on one volume, and a checkpoint puts on disk what was acknowledged.
# Holds nothing: WiredTiger recovers from a snapshot of one moment as from a power cut.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mongodb.sh"

need df
connect 5
case $ROLE in
mongos | arbiter) skip "role=$ROLE" ;;
primary | secondary | standalone | config) ;;
*) fail 1 "this member of the replica set is $ROLE: wait until it is a primary or a secondary" ;;
esac

answer "var h = {}; $LOG_IN var o = run({getCmdLineOpts: 1}), s = o.ok && o.parsed.storage || {}, e = run({serverStatus: 1});
    print(['quiescent', e.ok && o.ok ? e.storageEngine.name : o.errmsg || e.errmsg, s.journal && s.journal.enabled === false ? 'no' : 'yes', s.dbPath || '/data/db'].join('|'))" ||
    gave_up 'asking where the data are' "$ANSWER"
engine=${ANSWER%%|*}
ANSWER=${ANSWER#*|}
data=${ANSWER#*|}
case $engine in
wiredTiger) ;;
*uthoriz* | *uthentication*) fail 2 "the user \"$LOGIN\" may not ask the server how it is: it needs the role clusterMonitor: $(brief "$engine")" ;;
*) fail 2 "the storage engine is $engine, whose files are not whole at every moment: set the label quiescent.dev/method=dump" ;;
esac
[ "${ANSWER%%|*}" = yes ] ||
    fail 2 'the server keeps no journal: what was acknowledged would not be in the snapshot; set the label quiescent.dev/method=dump'

# Velero takes the volumes of a pod one after another.
[ -d "$data" ] || fail 2 "the data directory $data is not in this container"
# A group of volumes is cut in one moment, as one volume is.
volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p' | sed "${QUIESCENT_GROUP:+s/.*/group/}"; }
home=$(volume "$data/.")
for folder in "$data"/*/; do
    there=$(volume "$folder.")
    [ "${there:-$home}" = "$home" ] ||
        fail 2 "$folder lies on another volume than $data: a snapshot of two volumes is not of one moment; set the label quiescent.dev/method=dump"
done

answer "var h = {}; $LOG_IN var f = run({fsync: 1}); print('quiescent|' + (f.ok ? 'yes' : f.errmsg))" ||
    gave_up 'the checkpoint' "$ANSWER"
case $ANSWER in
yes) ;;
*uthoriz*) say "user \"$LOGIN\" may not run fsync, for which it needs the role hostManager: writes of the last tenth of a second may not be in the snapshot" ;;
*) gave_up 'the checkpoint' "$ANSWER" ;;
esac
ok "role=$ROLE" "server=$VERSION"
