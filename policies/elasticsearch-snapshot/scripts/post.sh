#!/bin/sh
# Has nothing to do: pre.sh holds nothing. It is there so that nobody else's post hook runs instead.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
ok held=nothing
