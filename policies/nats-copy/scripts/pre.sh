#!/bin/sh
# Makes sure that a copy of the store taken now is worth having: the server is well, JetStream and all its
# streams included. Holds nothing. A server without JetStream keeps nothing and is skipped.
# Parameter: QUIESCENT_PORT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/talk.sh"
# shellcheck source=/dev/null
. "${0%/*}/nats.sh"

connect 5
[ -n "$STREAMS" ] || skip reason=no-jetstream "server=$VERSION"
ok "streams=$STREAMS" "messages=$MESSAGES" "server=$VERSION"
