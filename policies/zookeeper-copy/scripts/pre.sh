#!/bin/sh
# Makes sure that a copy of the data volume taken now is worth having: the server serves, and its data and
# its log lie on one volume. Holds nothing: ZooKeeper starts from a copy as from a power cut.
# Parameters: QUIESCENT_CONFIG, QUIESCENT_PORT, QUIESCENT_TWO_VOLUMES.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/talk.sh"
# shellcheck source=/dev/null
. "${0%/*}/zookeeper.sh"

connect 5
data=$(setting dataDir)
log=$(setting dataLogDir)
log=${log:-$data}
if [ -z "$data" ]; then
    say 'no zoo.cfg is to be found: whether data and log lie on one volume is not known (parameter config)'
elif ! on_one_volume "$data" "$log"; then
    [ "${QUIESCENT_TWO_VOLUMES:-}" = accept ] ||
        fail 2 "dataLogDir $log lies on another volume than dataDir $data, and Velero takes them one after another: put them on one, or set the parameter twoVolumes to accept"
    say "dataLogDir $log lies on another volume than dataDir $data: they are not captured at one moment"
fi
ok "role=$MODE" "nodes=$NODES" "server=$VERSION"
