#!/bin/sh
# Calls a URL before the backup, and holds the answer's status and text against what is wanted. With
# afterUrl, that one is called by the post hook, when this call failed (it may have been heard), and
# after the limit when no post hook came. Parameters: those of policy.yaml.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/http.sh"

client
first() {
    call "${QUIESCENT_METHOD:-POST}" "$URL" "${QUIESCENT_DATA:-}" "${QUIESCENT_STATUS:-2xx}" "${QUIESCENT_BODY:-}" ||
        fail "$CODE" "$WHY"
}
if [ -z "$AFTER" ]; then
    open_state
    end_earlier
    first
    ok "status=$STATUS" "client=$CLIENT"
fi
begin_hold
note called
first
called=$STATUS
kept
ok "status=$called" "client=$CLIENT" "limit=$MOST"
