#!/bin/sh
# Takes the flag of pre.sh away, and says whether it had been there all the time.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/flag.sh"

end_hold
ok "held=$HELD"
