#!/bin/sh
# Says whether the server is still well after the capture. Changes nothing: pre.sh holds nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/talk.sh"
# shellcheck source=/dev/null
. "${0%/*}/nats.sh"

connect 5
[ -n "$STREAMS" ] || skip reason=no-jetstream "server=$VERSION"
ok "streams=$STREAMS" "messages=$MESSAGES" "server=$VERSION"
