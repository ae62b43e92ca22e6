#!/bin/sh
# Writes every database of slapd, and its configuration, as LDIF (slapcat), has the copy read again, and
# only then replaces the last one. Nothing waits. Each database is of one moment; databases that only
# follow a provider are skipped. Parameter: QUIESCENT_CONFIG.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/openldap.sh"

need slapcat slapadd stat
[ -n "$CONFIG" ] || fail 2 'no configuration of slapd is to be found: set the parameter config to the path of its slapd.d or slapd.conf'
[ -e "$CONFIG" ] || fail 2 "there is no $CONFIG: correct the parameter config"
begin_dump
check_space

# Ends the hook for a tool that failed.
refused() {
    case $2 in
    *ermission*denied* | *'not permitted'*) fail 2 "user $(id -u) cannot read slapd's files: run the container as slapd's user or as root: $(brief "$2")" ;;
    *'error writing output'*) gave_up "$1" "No space left: $2" ;;
    esac
    gave_up "$1" "$2"
}

if [ "$OPTION" = -f ]; then
    error=$(cp "$CONFIG" "$NEW/slapd.conf" 2>&1) || refused "reading the configuration $CONFIG" "$error"
    list=$(databases_of_file "$CONFIG")
else
    error=$(within slapcat -F "$CONFIG" -n 0 -o ldif-wrap=no -l "$NEW/0.ldif" 2>&1 </dev/null) ||
        refused "reading the configuration $CONFIG" "$error"
    list=$(databases "$NEW/0.ldif")
fi
count=0
entries=0
while read -r number role directory; do
    [ "$role" = provider ] || continue
    error=$(within slapcat "$OPTION" "$CONFIG" -n "$number" -o ldif-wrap=no -l "$NEW/$number.ldif" 2>&1 </dev/null) ||
        refused "dumping database $number" "$error"
    error=$(within slapadd -u -s "$OPTION" "$CONFIG" -n "$number" -l "$NEW/$number.ldif" 2>&1 </dev/null) ||
        gave_up "reading the dump of database $number" "$error"
    error=$(stat -c %u:%g "${directory:-$CONFIG}" 2>&1 >"$NEW/$number.owner") || gave_up "asking whose $directory is" "$error"
    entries=$((entries + $(grep -c '^dn:' "$NEW/$number.ldif")))
    count=$((count + 1))
done <<LIST
$list
LIST
if [ "$count" = 0 ]; then
    [ -z "$list" ] || skip_dump 'all databases of this server follow a provider, which dumps' role=consumer
    fail 2 "the configuration $CONFIG has no database: correct the parameter config"
fi
version=$(slapd -VV 2>&1 </dev/null | sed -n 's/.*OpenLDAP: [a-z]* \([0-9.]*\).*/\1/p' | head -n 1)

publish "server=$version" "config=$CONFIG" "databases=$count" "entries=$entries"
ok "databases=$count" "entries=$entries" "bytes=$BYTES" "server=$version"
