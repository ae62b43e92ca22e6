#!/bin/sh
# Loads the snapshot of pre.sh into a running cluster that is new: one without keys and configuration
# entries, else it ends with 6, unless the parameter overwrite is set. Of several pods that have a dump
# the first (…-0) loads. A second run changes nothing. Without a dump, and on a client, it ends with 0.
# Parameters: QUIESCENT_MEMBER, QUIESCENT_OVERWRITE.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/consul.sh"

begin_restore
need consul
case ${QUIESCENT_MEMBER:-all}-$(uname -n) in
all-*-0) ;;
all-*-[0-9] | all-*-[0-9][0-9]) skip reason=the-first-pod-loads "dump=$ID" ;;
esac
connect 300
[ "$ROLE" != client ] || skip role=client
[ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"

if ! overwrites; then
    keys=$(ask kv get -keys -separator= '') || {
        refused "$keys"
        gave_up 'asking for the keys' "$keys"
    }
    # An older Consul does not know them all.
    for kind in service-defaults proxy-defaults service-router service-splitter service-resolver service-intentions \
        ingress-gateway terminating-gateway mesh exported-services api-gateway http-route tcp-route; do
        entries=$(ask config list -kind "$kind") || {
            refused "$entries"
            continue
        }
        keys=$keys$entries
    done
    [ -z "$keys" ] ||
        fail 6 "Consul has keys or configuration entries that this hook did not load ($(brief "$(printf '%s\n' "$keys" | head -n 3)")): nothing was changed; set the parameter overwrite and run the hook again if the dump is to replace them"
fi
say "loading the dump of $(manifest "$DUMP" began)"
error=$(ask snapshot restore "$DUMP/snapshot.tgz") || {
    refused "$error"
    gave_up 'loading the snapshot' "$error"
}
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
ok "dump=$ID" "index=$(manifest "$DUMP" index)"
