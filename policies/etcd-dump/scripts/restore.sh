#!/bin/sh
# Makes a data directory of the snapshot of pre.sh, before etcd starts: run it in an init container of
# the same image, with etcd's own variables. It never touches a directory that has data: then it ends
# with 6. A second run changes nothing. Without a dump it ends with 0.
# Parameters: QUIESCENT_DATA_DIR.
QUIESCENT_TIMEOUT=${QUIESCENT_TIMEOUT:-86400} # an init container has no time limit
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

PATH=$PATH:/opt/bitnami/etcd/bin
ETCDCTL_API=3
export PATH ETCDCTL_API
begin_restore
utl=$(first_of etcdutl etcdctl) || exit 2

data=${QUIESCENT_DATA_DIR:-${ETCD_DATA_DIR:-}}
[ -n "$data" ] || [ ! -d /bitnami/etcd ] || data=/bitnami/etcd/data
[ -n "$data" ] || fail 2 'cannot tell where the data directory is: set ETCD_DATA_DIR or the parameter dataDir'
error=$(mkdir -p "$data" 2>&1) || fail 2 "cannot make the data directory $data: $(brief "$error")"
[ -w "$data" ] || fail 2 "user $(id -u) cannot write to $data: run the init container as the user of etcd, or set fsGroup"

# A run that was cut off while it moved: the data directory comes last and at once, the log before it.
if [ "$(cat "$STORE/loading" 2>/dev/null)" = "$ID $data" ]; then
    if [ -d "$data/member" ]; then
        mv "$STORE/loading" "$STORE/loaded" || fail 1 "cannot write to $STORE"
    elif [ -n "${ETCD_WAL_DIR:-}" ]; then
        rm -rf "${ETCD_WAL_DIR:?}"/*
    fi
fi
if [ "$(cat "$STORE/loaded" 2>/dev/null)" = "$ID $data" ]; then
    [ ! -d "$data/member" ] || skip reason=already-loaded "dump=$ID"
fi
rm -rf "$STORE/loading" "$data/restore.quiescent"
# The file system keeps lost+found.
for file in "$data"/* "$data"/.[!.]* "${ETCD_WAL_DIR:-$data/member/wal}"/*; do
    [ "$file" = "$data/lost+found" ] || [ ! -e "$file" ] ||
        refuse "there are data in ${file%/*} that this hook did not load: nothing was changed; empty it and run the hook again if the dump is to replace them"
done
case ${ETCD_INITIAL_CLUSTER:-} in
*,*)
    [ "$PHASE" != init ] || skip reason=several-members
    fail 2 "the members of a cluster must all be restored from one and the same snapshot: see the page of this policy, and use $DUMP/snapshot.db for all"
    ;;
esac
say "loading the dump of $(manifest "$DUMP" began)"

set -- --data-dir "$data/restore.quiescent"
[ -z "${ETCD_WAL_DIR:-}" ] || set -- "$@" --wal-dir "$data/restore.quiescent/wal.quiescent"
[ -z "${ETCD_NAME:-}" ] || set -- "$@" --name "$ETCD_NAME"
[ -z "${ETCD_INITIAL_CLUSTER:-}" ] || set -- "$@" --initial-cluster "$ETCD_INITIAL_CLUSTER"
[ -z "${ETCD_INITIAL_CLUSTER_TOKEN:-}" ] || set -- "$@" --initial-cluster-token "$ETCD_INITIAL_CLUSTER_TOKEN"
[ -z "${ETCD_INITIAL_ADVERTISE_PEER_URLS:-}" ] ||
    set -- "$@" --initial-advertise-peer-urls "$ETCD_INITIAL_ADVERTISE_PEER_URLS"
error=$(within "$utl" snapshot restore "$DUMP/snapshot.db" "$@" 2>&1 </dev/null) || {
    rm -rf "$data/restore.quiescent"
    gave_up 'loading the snapshot' "$(printf '%s\n' "$error" | grep -v '"level":"info"')"
}
echo "$ID $data" >"$STORE/loading" || fail 1 "cannot write to $STORE"
if [ -n "${ETCD_WAL_DIR:-}" ]; then
    error=$(mkdir -p "$ETCD_WAL_DIR" 2>&1 && mv "$data/restore.quiescent/wal.quiescent"/* "$ETCD_WAL_DIR/" 2>&1) ||
        fail 1 "cannot move the log to $ETCD_WAL_DIR: $(brief "$error")"
fi
# One rename makes the directory one that etcd starts from.
mv "$data/restore.quiescent/member" "$data/member" || fail 1 "cannot rename $data/restore.quiescent/member"
mv "$STORE/loading" "$STORE/loaded" || fail 1 "cannot write to $STORE"
rm -rf "$data/restore.quiescent"
sync
ok "dump=$ID" "revision=$(manifest "$DUMP" revision)" "keys=$(manifest "$DUMP" keys)"
