#!/bin/sh
# Says which dump lies in the dump volume. Changes nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
report_dump
