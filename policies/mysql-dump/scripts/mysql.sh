# shellcheck shell=sh disable=SC2034
# How the hooks of MySQL and MariaDB speak to the server of their own container: who they are, where
# it listens, and whether it is ready. Parameters: QUIESCENT_PORT, QUIESCENT_USER,
# QUIESCENT_PASSWORD_ENV.

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/mysql/bin:/opt/bitnami/mariadb/bin
export PATH

# MariaDB gives up the names that begin with mysql.
CLIENT=$(first_of mariadb mysql) || exit 2

ACCOUNT=${QUIESCENT_USER:-${MARIADB_ROOT_USER:-${MYSQL_ROOT_USER:-root}}}
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
    MYSQL_PWD=$PICKED
fi
[ -n "${MYSQL_PWD:-}" ] || ! pick MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD \
    MARIADB_MASTER_ROOT_PASSWORD MYSQL_MASTER_ROOT_PASSWORD || MYSQL_PWD=$PICKED
[ -z "${MYSQL_PWD:-}" ] || export MYSQL_PWD # read by all clients, and seen by nobody in a list of processes

PORT=${QUIESCENT_PORT:-${MYSQL_TCP_PORT:-${MARIADB_PORT_NUMBER:-${MYSQL_PORT_NUMBER:-3306}}}}
OVER_TCP="--protocol=tcp --host=127.0.0.1 --port=$PORT"
OVER_SOCKET=--protocol=socket

# The words of OVER_TCP and OVER_SOCKET have no blanks.
# shellcheck disable=SC2086
client() {
    within "$CLIENT" $OVER --user="$ACCOUNT" --default-character-set=utf8mb4 --batch --raw --skip-column-names "$@"
}
sql() { client --connect-timeout=10 -e "$1" </dev/null; }

# Connects over TCP first: while an image initialises its data directory, a first server answers on
# the socket alone. The socket is for accounts that log in by who they are in the container.
# ANSWER becomes the version, or what kept us out.
answers() {
    OVER=$OVER_TCP
    ANSWER=$(sql 'select version()' 2>&1) && return 0
    OVER=$OVER_SOCKET
    over_socket=$(sql "select if(@@skip_networking, 'initialising', version())" 2>&1) &&
        [ "$over_socket" != initialising ] && ANSWER=$over_socket
}

# Waits for the server, at most so many seconds; sets VERSION and REPLICA (empty on a primary).
connect() {
    patience=$(($(date +%s) + $1))
    until answers; do
        case $ANSWER in
        *'Access denied'* | *'is not allowed to connect'*)
            fail 2 "the server does not let user \"$ACCOUNT\" in: set the container's root password variable (or its file) to the password that the server has: $(brief "$ANSWER")"
            ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "the server does not answer on 127.0.0.1:$PORT, nor on its socket: look at its log: $(brief "$ANSWER")"
        fi
        sleep 1
    done
    VERSION=$ANSWER
    # The old word for servers from before MySQL 8.0.22.
    REPLICA=$(sql 'show replica status' 2>/dev/null) || REPLICA=$(sql 'show slave status' 2>/dev/null)
}

# Tables and views that are not the server's own.
tables() {
    sql "select count(*) from information_schema.tables where table_schema not in
        ('mysql', 'sys', 'information_schema', 'performance_schema') $1"
}
