#!/bin/sh
# Makes sure that a snapshot of the data volume taken now is worth having: the member is well, takes
# part in a read of the whole cluster, and all of its files lie on one volume. Holds nothing: etcd
# recovers from a snapshot of one moment as from a power cut.
# Parameters: QUIESCENT_DATA_DIR.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/etcd.sh"

need etcdctl df
connect 5

data=${QUIESCENT_DATA_DIR:-${ETCD_DATA_DIR:-}}
[ -n "$data" ] || [ ! -d /bitnami/etcd/data ] || data=/bitnami/etcd/data
[ ! -d "$data" ] || [ -x "$data" ] ||
    fail 2 "user $(id -u) cannot look into $data: run the container as the user of the server"
[ -d "$data/member/snap" ] ||
    fail 2 "cannot tell where the data are${data:+, not in $data}: set ETCD_DATA_DIR or the parameter dataDir"
# With --wal-dir there is no log beside the data.
wal=${ETCD_WAL_DIR:-$data/member/wal}
[ -d "$wal" ] || fail 2 "there is no log in $wal: set ETCD_WAL_DIR to where it is"
# A group of volumes is cut in one moment, as one volume is.
volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p' | sed "${QUIESCENT_GROUP:+s/.*/group/}"; }
home=$(volume "$data/member/snap/.")
there=$(volume "$wal/.")
[ "${there:-$home}" = "$home" ] ||
    fail 2 "$wal lies on another volume than $data: a snapshot of two volumes is not of one moment; set the label quiescent.dev/method=dump"
ok "role=$ROLE" "revision=$REVISION" "server=$VERSION"
