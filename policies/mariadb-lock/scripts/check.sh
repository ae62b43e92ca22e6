#!/bin/sh
# Says whether a restored server is sound: CHECK TABLE likes every table, and there are as many as the
# dump beside it had. Changes nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

[ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
if [ -d "$VOLUME" ]; then
    [ -f "$STORE/current/manifest" ] || fail 1 "no finished dump came back in $STORE"
fi
connect 60

# Names are data: the server quotes them.
statements=$(sql "select concat('check table \`', replace(table_schema, '\`', '\`\`'), '\`.\`', replace(table_name, '\`', '\`\`'), '\`;')
    from information_schema.tables where table_type = 'BASE TABLE' and engine is not null
    and table_schema not in ('sys', 'information_schema', 'performance_schema')" 2>&1) ||
    gave_up 'asking for the tables' "$statements"
said=$(printf '%s\n' "$statements" | client 2>&1) || gave_up 'checking the tables' "$(printf '%s\n' "$said" | tail -n 3)"
tab=$(printf '\t')
bad=$(printf '%s\n' "$said" | grep -i -e "${tab}error${tab}" -e "${tab}status${tab}" |
    grep -v -e "${tab}status${tab}OK\$" -e 'already up to date$' | head -n 3)
[ -z "$bad" ] || fail 1 "tables are damaged: $(brief "$bad")"

count=$(tables 2>&1) || gave_up 'counting the tables' "$count"
recorded=$(manifest "$STORE/current" tables)
[ "$count" -ge "${recorded:-0}" ] || fail 1 "there are $count tables, the dump has $recorded"
ok "tables=$count" "recorded=${recorded:-0}" "server=$VERSION"
