#!/bin/sh
# Backs up every database (influxd backup -portable), checks what was written, and only then replaces the
# last backup. Nothing waits. What that tool does not load again, continuous queries and grants, is noted
# beside it where the server lets us ask.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/influxdb.sh"

begin_dump
mkdir "$WORK" || fail 1 "cannot write to the dump volume /quiescent/dump ($(free) KiB free)"
connect 5
check_space

# Whatever goes wrong, the tool tries again for four minutes: it ends when nobody reads what it says.
said=$(within influxd backup -portable -host "$RPC" "$NEW" 2>&1 </dev/null | sed '/retrying (1)/q')
case $said in
*'backup complete'*) ;;
*) gave_up 'the backup' "$(printf '%s\n' "$said" | tail -n 1)" ;;
esac
shards=0
for file in "$NEW"/*.tar.gz; do
    [ -f "$file" ] || continue
    ! command -v gzip >/dev/null || error=$(within gzip -t "$file" 2>&1) || gave_up 'reading the backup' "$error"
    shards=$((shards + 1))
done

# Writes what a question's answer has; a full volume must not look like an empty answer.
note() {
    error=$(cat 2>&1 >"$NEW/$1") || gave_up "writing $1" "$error"
}
# What was granted to the users, as statements; ends with 1 and the server's answer where it refuses one.
grants() {
    printf '%s\n' "$users" | sed -n -e 's/,true$//p' -e 's/,false$//p' | unquoted | {
        while IFS= read -r user; do
            granted=$(ask "show grants for $(quoted "$user")") || {
                printf '%s\n' "$granted"
                exit 1
            }
            printf '%s\n' "$granted" | sed -n -e '/^database,privilege$/d' -e 's/,\([A-Z ]*\)$/ \1/p' |
                while IFS= read -r grant; do
                    case $grant in
                    *' ALL PRIVILEGES') privilege=ALL database=${grant% ALL PRIVILEGES} ;;
                    *' READ') privilege=READ database=${grant% READ} ;;
                    *' WRITE') privilege=WRITE database=${grant% WRITE} ;;
                    *) continue ;;
                    esac
                    database=$(printf '%s\n' "$database" | unquoted)
                    echo "GRANT $privilege ON $(quoted "$database") TO $(quoted "$user")"
                done
        done
    }
}
if answer=$(ask 'show databases') && names=$answer &&
    answer=$(ask 'show continuous queries') && queries=$answer &&
    answer=$(ask 'show users') && users=$answer &&
    answer=$(grants); then
    printf '%s\n' "$names" | databases | note databases || exit
    printf '%s\n' "$queries" | sed -n -e 's/^.*,\("\{0,1\}CREATE CONTINUOUS QUERY .*\)$/\1/p' | unquoted | note queries || exit
    printf '%s\n' "$answer" | note grants || exit
else
    say "without continuous queries and grants, for which an administrator's password is needed: $(brief "$(printf '%s\n' "$answer" | tail -n 1)")"
fi

publish "server=$VERSION" "shards=$shards"
ok "shards=$shards" "bytes=$BYTES" "server=$VERSION"
