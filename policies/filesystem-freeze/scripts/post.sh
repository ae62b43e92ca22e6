#!/bin/sh
# Thaws what pre.sh has frozen, and says whether it had been frozen all the time.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/freeze.sh"

need fsfreeze
end_hold
ok "held=$HELD"
