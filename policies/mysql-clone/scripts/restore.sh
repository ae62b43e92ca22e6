#!/bin/sh
# Puts the clone of pre.sh into an empty data directory, before the server starts: in an init container
# of the same image. A filled one it never touches: then it ends with 6. A second run changes nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/physical.sh"

put_back
settle
