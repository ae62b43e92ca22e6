#!/bin/sh
# Puts the backup of pre.sh into an empty data directory and makes it whole, before the server starts:
# in an init container of the same image. A filled directory it never touches: then it ends with 6. A
# second run changes nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/physical.sh"

put_back
tool=$(first_of mariadb-backup mariabackup) || exit 2
was=$(manifest "$DUMP" server)
is=$("$tool" --version 2>&1)
case $is in
*" ${was%"${was#*.*.}"}"*) ;;
*) fail 2 "the backup is of server $was, and this tool of another version cannot make it whole: $(brief "$is")" ;;
esac
error=$(within "$tool" --prepare --target-dir="$DATA" 2>&1 </dev/null) || gave_up 'making the backup whole' "$(printf '%s\n' "$error" | tail -n 4)"
settle
