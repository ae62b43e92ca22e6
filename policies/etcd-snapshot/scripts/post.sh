#!/bin/sh
# Says whether the member is still well after the snapshot. Changes nothing: pre.sh holds nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/etcd.sh"

need etcdctl
connect 5
ok "role=$ROLE" "revision=$REVISION" "server=$VERSION"
