#!/bin/sh
# Takes Consul's own snapshot of all state (keys, ACLs, intentions, services, sessions), checks it, and
# only then replaces the last one. It is the leader's, whichever server is asked. Clients go on.
# Agents that are no servers are skipped.
# Parameters: QUIESCENT_MEMBER.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/consul.sh"

need consul
begin_dump
connect 5
[ "$ROLE" != client ] || skip_dump 'this agent is no server, the servers dump' role=client
[ "${QUIESCENT_MEMBER:-all}" = all ] || [ "$ROLE" = leader ] ||
    skip_dump 'this server is a follower, the leader dumps' role=follower
check_space

error=$(ask snapshot save "$NEW/snapshot.tgz") || {
    refused "$error"
    gave_up 'the snapshot' "$error"
}
inspected=$(ask snapshot inspect "$NEW/snapshot.tgz") || gave_up 'checking the snapshot' "$inspected"
index=$(printf '%s\n' "$inspected" | sed -n 's/^ *Index  *//p')
[ "${index:-0}" -ge "${INDEX:-0}" ] ||
    fail 1 "the snapshot is of index ${index:-?}, but Consul was at $INDEX before: $(brief "$inspected")"

publish "server=$VERSION" "role=$ROLE" "index=$index"
ok "role=$ROLE" "index=$index" "bytes=$BYTES" "server=$VERSION"
