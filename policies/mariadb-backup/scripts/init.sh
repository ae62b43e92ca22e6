#!/bin/sh
# The restore before the server starts, in the init container that Velero puts into a restored pod. Data
# that are there already stay, and the server starts on them: an init container runs again with its node.
# shellcheck source=/dev/null
. "${0%/*}/restore.sh"
