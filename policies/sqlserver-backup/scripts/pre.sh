#!/bin/sh
# Has the server write a full backup of each database that is online, with checksums, and check it; only
# then the last ones are replaced. They are copies only: a chain of differential or log backups that
# somebody else keeps is not broken. Writers go on.
# Parameters: QUIESCENT_USER, QUIESCENT_PASSWORD_ENV, QUIESCENT_PORT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

user=${QUIESCENT_USER:-sa}
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
else
    pick MSSQL_SA_PASSWORD SA_PASSWORD ||
        fail 2 'there is no password: give the container the variable MSSQL_SA_PASSWORD, or name another in the parameter passwordEnv'
fi
SQLCMDPASSWORD=$PICKED
export SQLCMDPASSWORD
port=${QUIESCENT_PORT:-${MSSQL_TCP_PORT:-1433}}

# The images do not have it on the PATH.
PATH=$PATH:/opt/mssql-tools18/bin:/opt/mssql-tools/bin
export PATH
need sqlcmd

# -C trusts the server's own certificate, on our own 127.0.0.1; with -b an error is a failure; with -h
# -1 and -W what comes is the value alone.
ask() { within sqlcmd -C -S "127.0.0.1,$port" -U "$user" -l 10 -b -h -1 -W -Q "SET NOCOUNT ON; $1" 2>&1 </dev/null; }

begin_dump
version=$(ask "SELECT CAST(SERVERPROPERTY('ProductVersion') AS varchar(40))") || case $version in
*'Login failed'*) fail 2 "the server does not let user \"$user\" in: set the container's MSSQL_SA_PASSWORD to the password that the server has, or correct the parameters: $(brief "$version")" ;;
*) gave_up "asking the server on 127.0.0.1:$port for its version" "$version" ;;
esac
check_space

# It is the server that writes, and it may be another user. Names are data: databases go by number.
{ chmod 0711 "$STORE" && chmod 0777 "$NEW"; } || fail 1 "cannot open $NEW to the user of the server"
ids=$(ask "SELECT database_id FROM sys.databases WHERE state = 0 AND name <> 'tempdb' AND source_database_id IS NULL ORDER BY database_id") ||
    gave_up 'asking for the databases' "$ids"
offline=$(ask 'SELECT COUNT(*) FROM sys.databases WHERE state <> 0') ||
    gave_up 'asking for the databases that are not online' "$offline"
[ "$offline" = 0 ] || say "$offline databases are not online and not in the backup"
databases=0
for id in $ids; do
    case $id in
    *[!0-9]*) gave_up 'asking for the databases' "$ids" ;;
    esac
    file=$NEW/$id.bak
    error=$(ask "DECLARE @name sysname = DB_NAME($id); BACKUP DATABASE @name TO DISK = N'$file' WITH COPY_ONLY, CHECKSUM, FORMAT, INIT") ||
        gave_up "the backup of database $id" "$error"
    error=$(ask "RESTORE VERIFYONLY FROM DISK = N'$file' WITH CHECKSUM") || gave_up "checking the backup of database $id" "$error"
    [ -r "$file" ] || fail 2 "user $(id -u) cannot read what the server wrote: run the hook's container as the server's user, or as root"
    name=$(ask "SELECT DB_NAME($id)") || gave_up "asking for the name of database $id" "$name"
    error=$(printf '%s\n' "$name" 2>&1 >"$NEW/$id.name") || gave_up "the backup of database $id" "$error"
    databases=$((databases + 1))
done
[ "$databases" -gt 0 ] || fail 1 'no database is online: look at the log of the server'
chmod 0700 "$NEW" || fail 1 "cannot close $NEW"

publish "server=$version" "databases=$databases"
ok "databases=$databases" "bytes=$BYTES" "server=$version"
