# shellcheck shell=sh disable=SC2034
# How the hooks of MySQL and MariaDB speak to the server of their own container: who they are, where
# it listens, whether it is ready, and what it holds. Parameters: QUIESCENT_PORT, QUIESCENT_USER,
# QUIESCENT_PASSWORD_ENV, QUIESCENT_REPLICAS.

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/mysql/bin:/opt/bitnami/mariadb/bin
export PATH

# MariaDB gives up the names that begin with mysql.
case $POLICY in
mariadb-*)
    CLIENT=$(first_of mariadb mysql) || exit 2
    DUMP_TOOLS='mariadb-dump mysqldump'
    ;;
*)
    CLIENT=$(first_of mysql mariadb) || exit 2
    DUMP_TOOLS='mysqldump mariadb-dump'
    ;;
esac

pick_root_password() {
    pick MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD MARIADB_MASTER_ROOT_PASSWORD MYSQL_MASTER_ROOT_PASSWORD
}

ACCOUNT=${QUIESCENT_USER:-}
if [ "$PHASE" = restore ] && pick_root_password; then
    # An account for backups comes with the dump: a new server knows its root alone.
    ACCOUNT=
    MYSQL_PWD=$PICKED
elif [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
    MYSQL_PWD=$PICKED
elif [ -z "${MYSQL_PWD:-}" ] && pick_root_password; then
    MYSQL_PWD=$PICKED
fi
ACCOUNT=${ACCOUNT:-${MARIADB_ROOT_USER:-${MYSQL_ROOT_USER:-root}}}
[ -z "${MYSQL_PWD:-}" ] || export MYSQL_PWD # read by all clients, and seen by nobody in a list of processes

PORT=${QUIESCENT_PORT:-${MYSQL_TCP_PORT:-${MARIADB_PORT_NUMBER:-${MYSQL_PORT_NUMBER:-3306}}}}
OVER_TCP="--protocol=tcp --host=127.0.0.1 --port=$PORT"
OVER_SOCKET=--protocol=socket

# The words of OVER_TCP and OVER_SOCKET have no blanks.
# shellcheck disable=SC2086
client() {
    within "$CLIENT" $OVER --user="$ACCOUNT" --default-character-set=utf8mb4 --max-allowed-packet=1G \
        --batch --raw --skip-column-names "$@"
}
# What a client says beside the answer: of a login without TLS, of a file that it does not read.
without_warnings() { sed -e '/^WARNING: /d' -e '/^[^ ]*: \[Warning\] /d'; }
sql() {
    said=$(client --connect-timeout=5 -e "$1" 2>&1 </dev/null) || {
        printf '%s\n' "$said" >&2
        return 1
    }
    [ -z "$said" ] || printf '%s\n' "$said" | without_warnings
}

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

# Waits for the server, at most so many seconds; sets VERSION.
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
}

# Sets ROLE to primary or replica, as the server says it. Who may not ask for the status of a replica
# sees at least whether the server takes writes.
ask_role() {
    answer=$(sql 'show replica status' 2>/dev/null) || # before MySQL 8.0.22 by its old name
        answer=$(sql 'show slave status' 2>/dev/null) ||
        answer=$(sql 'select 1 from dual where @@global.read_only' 2>&1) ||
        gave_up 'asking for the role' "$answer"
    ROLE=${answer:+replica}
    ROLE=${ROLE:-primary}
}

# Ends a dump hook on a replica, unless the parameter replicas wants a dump there too.
leave_replicas() {
    ask_role
    [ "$ROLE" = primary ] || [ "${QUIESCENT_REPLICAS:-skip}" = dump ] ||
        skip_dump 'this server is a replica, its primary is backed up' role=replica
}

# What an account may not see its tools leave out, without a word. The arguments are the privileges on
# *.* that a whole dump needs.
need_privileges() {
    held=$(sql "select upper(privilege_type) from information_schema.user_privileges
        where replace(grantee, '''', '') = current_user()" 2>&1) || gave_up 'asking for the privileges' "$held"
    for privilege; do
        printf '%s\n' "$held" | grep -qxF "$privilege" ||
            fail 2 "account \"$ACCOUNT\" lacks the privilege $privilege, without which the dump is not whole: GRANT $privilege ON *.* TO it; what it has through a role does not count"
    done
}

# Sets POSITION to where the server is in its log, empty when it keeps none or the account may not
# know. What comes before it is in a dump that begins now.
ask_position() {
    for question in 'select @@global.gtid_current_pos' 'select @@global.gtid_executed' \
        'show binary log status' 'show master status'; do
        POSITION=$(sql "$question" 2>/dev/null | cut -f 1,2 | tr '\t' : | tr -d '\n')
        [ -z "$POSITION" ] || return 0
    done
}

# Sets OTHERS to users' tables in other engines than these, the first three by name; empty when there
# are none.
look_for_others() {
    OTHERS=$(sql "select concat(count(*), ' (', substring_index(group_concat(table_schema, '.', table_name,
            ' in ', engine separator ', '), ', ', 3), ')') from information_schema.tables
        where table_type = 'BASE TABLE' and engine not in ($1)
        and table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')
        having count(*) > 0" 2>&1) || gave_up 'looking at the tables' "$OTHERS"
}

# Tables and views that are not the server's own.
tables() {
    sql "select count(*) from information_schema.tables where table_schema not in
        ('mysql', 'sys', 'information_schema', 'performance_schema')"
}
