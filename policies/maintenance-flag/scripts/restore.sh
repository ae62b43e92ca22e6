#!/bin/sh
# A flag that lies in a volume is in the backup with it: takes ours away from a restored pod, and
# leaves one that was there before the backup.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/flag.sh"

is_ours || skip reason=no-flag-of-ours
error=$(rm -f "$FLAG" 2>&1) || fail 1 "cannot take away the flag $FLAG, which came with the backup: $(brief "$error")"
ok flag=removed
