#!/bin/sh
# Calls a URL after the backup, when there is one, and says whether it was not called before in our
# place. Parameters: those of policy.yaml.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/http.sh"

[ -n "$AFTER" ] || ok held=nothing
client
end_hold
ok "held=$HELD" "status=$STATUS" "client=$CLIENT"
