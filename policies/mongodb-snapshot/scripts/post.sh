#!/bin/sh
# Says whether the server is still well after the snapshot. Changes nothing: pre.sh holds nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mongodb.sh"

connect 5
ok "role=$ROLE" "server=$VERSION"
