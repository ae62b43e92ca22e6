# shellcheck shell=sh disable=SC2034
# How the hooks of Redis and Valkey speak to the server of their own container: who they are, where it
# listens, and whether it is ready. Parameters: QUIESCENT_PORT, QUIESCENT_USER, QUIESCENT_PASSWORD_ENV.

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/redis/bin:/opt/bitnami/valkey/bin
export PATH
CLI=$(first_of valkey-cli redis-cli) || exit 2

# The official images have no variable for the password, but most pods that set one have one of these.
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
else
    pick REDISCLI_AUTH VALKEYCLI_AUTH REDIS_PASSWORD VALKEY_PASSWORD || :
fi
PASSWORD=$PICKED
PORT=${QUIESCENT_PORT:-${REDIS_PORT_NUMBER:-${VALKEY_PORT_NUMBER:-6379}}}

# Runs the client on a port with a password, which goes by environment: a list of processes shows argv.
# It ends well on most errors: what it says is what counts.
ask() (
    port=$1
    REDISCLI_AUTH=$2
    VALKEYCLI_AUTH=$2
    shift 2
    unset REDISCLI_HISTFILE
    if [ -n "$REDISCLI_AUTH" ]; then
        export REDISCLI_AUTH VALKEYCLI_AUTH
    else
        unset REDISCLI_AUTH VALKEYCLI_AUTH
    fi
    within "$CLI" -h 127.0.0.1 -p "$port" "$@"
)
cli() { ask "$PORT" "$PASSWORD" ${QUIESCENT_USER:+--user "$QUIESCENT_USER"} "$@"; }

# One field of INFO; its lines end with a carriage return.
field() { cli info "$1" 2>/dev/null </dev/null | tr -d '\r' | sed -n "s/^$2://p"; }

# One setting of the server; nothing where we may not ask.
setting() { cli config get "$1" 2>/dev/null </dev/null | sed -n 2p; }

# The keys of all databases, and those of them that expire, from the answer to `info keyspace`.
keys() { sum_of keys; }
expiring() { sum_of expires; }
sum_of() {
    sum=0
    # shellcheck disable=SC2013 # numbers, one a line
    for count in $(sed -n "s/^db[0-9]*:\(.*,\)*$1=\([0-9]*\).*/\2/p"); do
        sum=$((sum + count))
    done
    echo "$sum"
}

# Waits for the server, at most so many seconds; sets VERSION and ROLE (master, slave or sentinel).
connect() {
    patience=$(($(date +%s) + $1))
    until answer=$(cli ping 2>&1 </dev/null) && [ "$answer" = PONG ]; do
        case $answer in
        *'without any password'* | *'no password is set'*)
            PASSWORD= # the variable is there, but the server was started without it
            continue
            ;;
        *NOAUTH* | *WRONGPASS* | *'AUTH failed'* | *'invalid password'* | *NOPERM*)
            fail 2 "the server does not let us in: name the container's variable with its password in the parameter passwordEnv: $(brief "$answer")"
            ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "the server does not answer on 127.0.0.1:$PORT: look at its log: $(brief "$answer")"
        fi
        sleep 1
    done
    VERSION=$(field server valkey_version)
    [ -n "$VERSION" ] || VERSION=$(field server redis_version)
    ROLE=$(field replication role)
    # Valkey calls it server_mode.
    [ "$(field server '[a-z]*_mode')" != sentinel ] || ROLE=sentinel
    [ -z "$ROLE" ] || return 0
    answer=$(cli info server 2>&1 </dev/null)
    [ "$(left)" -gt 0 ] || gave_up 'asking the server how it is' ''
    case $answer in
    *NOPERM* | *ERR*) fail 2 "the server does not answer INFO: the user needs +info: $(brief "$answer")" ;;
    esac
    fail 1 "the server does not answer on 127.0.0.1:$PORT any more: look at its log: $(brief "$answer")"
}
