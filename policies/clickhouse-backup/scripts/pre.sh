#!/bin/sh
# Has the server write a backup of all its databases, users and settings into the dump volume, which
# its configuration must allow, and only then replaces the last one. Writers go on.
# Parameters: QUIESCENT_USER, QUIESCENT_PASSWORD_ENV, QUIESCENT_PORT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

user=${QUIESCENT_USER:-${CLICKHOUSE_USER:-${CLICKHOUSE_ADMIN_USER:-default}}}
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
else
    pick CLICKHOUSE_PASSWORD CLICKHOUSE_ADMIN_PASSWORD || :
fi
password=$PICKED
port=${QUIESCENT_PORT:-${CLICKHOUSE_TCP_PORT:-9000}}
need clickhouse-client

begin_dump
error=$(mkdir "$WORK" 2>&1) || gave_up 'creating a folder in the dump volume' "$error"
xml() { printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }
# The password goes by a file that only this user can read: a list of processes shows argv.
printf '<config><host>127.0.0.1</host><port>%s</port><user>%s</user><password>%s</password></config>\n' \
    "$port" "$(xml "$user")" "$(xml "$password")" >"$WORK/client.xml" || gave_up 'writing the configuration of the client' 'No space left'
unset CLICKHOUSE_PASSWORD CLICKHOUSE_USER CLICKHOUSE_HOST
ask() { within clickhouse-client --config-file "$WORK/client.xml" --query "$1" 2>&1 </dev/null; }

version=$(ask 'SELECT version()') || case $version in
*AUTHENTICATION_FAILED* | *'Authentication failed'* | *REQUIRED_PASSWORD*)
    fail 2 "the server does not let user \"$user\" in: name the container's variable with the password in the parameter passwordEnv: $(brief "$version")"
    ;;
*) gave_up "asking the server on 127.0.0.1:$port for its version" "$version" ;;
esac
check_space

# It is the server that writes, and it may be another user. What it goes on to write for a run that was
# cut off has another name.
{ chmod 0711 "$STORE" && chmod 0777 "$NEW"; } || fail 1 "cannot open $NEW to the user of the server"
written=$NEW/$BEGAN-$$.zip
answer=$(ask "BACKUP ALL TO File('$written')") || case $answer in
*allowed_path* | *'is not allowed'* | *INVALID_CONFIG_PARAMETER*)
    fail 2 "the server may not write backups to /quiescent/dump/: allow it in its configuration, <backups><allowed_path>/quiescent/dump/</allowed_path></backups>: $(brief "$answer")"
    ;;
*) gave_up 'the backup' "$answer" ;;
esac
case $answer in
*BACKUP_CREATED*) ;;
*) gave_up 'the backup' "the server did not say BACKUP_CREATED: $answer" ;;
esac
[ -s "$written" ] || gave_up 'the backup' "the server wrote no $written: does it run in this container?"
[ -r "$written" ] || fail 2 "user $(id -u) cannot read what the server wrote: run the hook's container as the server's user, or as root"
mv "$written" "$NEW/all.zip" || fail 1 "cannot rename $written"
chmod 0700 "$NEW" || fail 1 "cannot close $NEW"

publish "server=$version"
ok "bytes=$BYTES" "server=$version"
