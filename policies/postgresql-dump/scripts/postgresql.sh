# shellcheck shell=sh disable=SC2034
# How the PostgreSQL hooks speak to the server of their own container: who they are, where it
# listens, and whether it is ready. Parameters: QUIESCENT_PORT, QUIESCENT_USER, QUIESCENT_PASSWORD_ENV.

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/postgresql/bin

# The superuser, as the container's variables name it: official image, then Bitnami's.
if [ -n "${QUIESCENT_USER:-}" ]; then
    PGUSER=$QUIESCENT_USER
elif pick POSTGRESQL_POSTGRES_PASSWORD POSTGRES_POSTGRES_PASSWORD && [ "${POSTGRES_USER:-${POSTGRESQL_USERNAME:-postgres}}" != postgres ]; then
    # Bitnami with a user of the application's own: its password is another one than that of postgres.
    PGUSER=postgres
    PGPASSWORD=$PICKED
else
    PGUSER=${PGUSER:-${POSTGRES_USER:-${POSTGRESQL_USERNAME:-postgres}}}
fi
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
    PGPASSWORD=$PICKED
fi
[ -n "${PGPASSWORD:-}" ] || ! pick POSTGRES_PASSWORD POSTGRESQL_PASSWORD \
    POSTGRESQL_POSTGRES_PASSWORD POSTGRES_POSTGRES_PASSWORD || PGPASSWORD=$PICKED

SOCKETS=
case ${PGHOST:-} in
/*) SOCKETS=$PGHOST ;;
esac
PGPORT=${QUIESCENT_PORT:-${PGPORT:-${POSTGRESQL_PORT_NUMBER:-5432}}}
PGDATABASE=postgres
PGCONNECT_TIMEOUT=10
PGAPPNAME=quiescent
# What a role or a database has set for its applications must not stop a backup or a restore.
PGOPTIONS='-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off'
export PATH PGUSER PGPORT PGDATABASE PGCONNECT_TIMEOUT PGAPPNAME PGOPTIONS
[ -z "${PGPASSWORD:-}" ] || export PGPASSWORD
unset PGSERVICE PGHOSTADDR

# One value, from the database PGDATABASE names. Never `-d name`: psql takes "a=b" for a connection
# string, a variable it does not.
sql() { within psql -XAtqw -v ON_ERROR_STOP=1 -c "$1" </dev/null; }

# Connects over TCP first: while an image initialises its data directory, a first server answers on
# the socket alone. The socket is for peer authentication and for servers without TCP; not for a
# password that is wrong, which the restored pod would have as well.
# ANSWER becomes "in_recovery|superuser|version", or what kept us out.
answers() {
    PGHOST=127.0.0.1
    export PGHOST
    ANSWER=$(sql "$GREETING" 2>&1) && return 0
    case $ANSWER in
    *'password authentication failed'*) return 1 ;;
    esac
    PGHOST=$SOCKETS
    over_socket=$(sql "$GREETING" 2>&1) && [ "${over_socket#*|*|*|}" != initialising ] || return 1
    ANSWER=$over_socket
}
GREETING="select concat_ws('|', pg_is_in_recovery(), current_setting('is_superuser'),
    split_part(current_setting('server_version'), ' ', 1),
    (select 'initialising' from pg_settings where name = 'listen_addresses' and setting = ''
     and source = 'command line'))"

# Waits for the server, at most so many seconds; sets STANDBY, SUPERUSER and VERSION.
connect() {
    patience=$(($(date +%s) + $1))
    until answers; do
        case $ANSWER in
        *'password supplied'* | *'authentication failed'* | *'role "'*'does not exist'* | *'no pg_hba.conf entry'*)
            fail 2 "PostgreSQL does not let user \"$PGUSER\" in: set the container's POSTGRES_PASSWORD (or its file) to the password that the server has: $(brief "$ANSWER")"
            ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "PostgreSQL does not answer on 127.0.0.1:$PGPORT, nor on its socket: look at the log of the server: $(brief "$ANSWER")"
        fi
        sleep 1
    done
    STANDBY=${ANSWER%%|*}
    ANSWER=${ANSWER#*|}
    SUPERUSER=${ANSWER%%|*}
    ANSWER=${ANSWER#*|}
    VERSION=${ANSWER%%|*}
}

# Sets ROLE, and ends the hook on a standby that is not asked to do the work of its primary.
# Parameter: QUIESCENT_STANDBY, skip or dump.
choose_role() {
    ROLE=primary
    [ "$STANDBY" = t ] || return 0
    ROLE=standby
    [ "${QUIESCENT_STANDBY:-skip}" = dump ] ||
        skip_dump 'this server is a standby, its primary dumps (parameter standby)' role=standby
}
