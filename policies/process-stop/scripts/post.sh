#!/bin/sh
# Has the processes that pre.sh stopped go on, and says whether they had stood still all the time.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/process.sh"

end_hold
ok "held=$HELD"
