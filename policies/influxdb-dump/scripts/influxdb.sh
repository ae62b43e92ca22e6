# shellcheck shell=sh disable=SC2034
# How the InfluxDB hooks speak to the server of their own container: backups go by its RPC address, which
# asks for no password; questions go by HTTP, where it may ask for one.
# Parameters: QUIESCENT_HOST, QUIESCENT_PORT, QUIESCENT_USER, QUIESCENT_PASSWORD_ENV.

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/influxdb/bin
export PATH
need influxd

# A server that listens everywhere is at home on the loopback.
RPC=${QUIESCENT_HOST:-${INFLUXDB_BIND_ADDRESS:-127.0.0.1:8088}}
case $RPC in
:* | 0.0.0.0:* | '[::]:'*) RPC=127.0.0.1:${RPC##*:} ;;
esac
HTTP=${INFLUXDB_HTTP_BIND_ADDRESS:-${INFLUXDB_HTTP_PORT_NUMBER:-8086}}
HTTP=${QUIESCENT_PORT:-${HTTP##*:}}

INFLUX_USERNAME=${QUIESCENT_USER:-${INFLUXDB_ADMIN_USER:-}}
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
else
    pick INFLUXDB_ADMIN_PASSWORD INFLUXDB_ADMIN_USER_PASSWORD || :
fi
INFLUX_PASSWORD=$PICKED
# With a name alone the tool asks for the password; Bitnami's first user is called admin.
if [ -n "$INFLUX_PASSWORD" ]; then
    INFLUX_USERNAME=${INFLUX_USERNAME:-admin}
    export INFLUX_USERNAME INFLUX_PASSWORD
else
    unset INFLUX_USERNAME
fi

# The answer to a question in InfluxQL as CSV; the second argument names a database.
ask() {
    set -- "$1" -host 127.0.0.1 -port "$HTTP" ${2:+-database "$2"}
    [ "${INFLUXDB_HTTP_HTTPS_ENABLED:-}" != true ] || set -- "$@" -ssl -unsafeSsl
    question=$1
    shift
    within influx "$@" -format csv -execute "$question" 2>&1 </dev/null
}

# Fields of CSV, one a line, as they were before they were quoted.
unquoted() { sed -e '/^".*"$/!b' -e 's/^"//' -e 's/"$//' -e 's/""/"/g'; }
# A name as InfluxQL wants it.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# Names of the databases, one a line, without the server's own.
databases() { sed -n 's/^databases,//p' | unquoted | grep -vx _internal; }

# Waits for the server, at most so many seconds; sets VERSION. The tool goes on asking a server that is
# not there for minutes, so it gets a few seconds at a time for the smallest thing there is to back up.
connect() {
    patience=$(($(date +%s) + $1))
    limit=$LIMIT
    while :; do
        [ "$limit" -lt $(($(date +%s) - BEGAN + 4)) ] || LIMIT=$(($(date +%s) - BEGAN + 4))
        answer=$(within influxd backup -host "$RPC" "$WORK" 2>&1 </dev/null) && break
        LIMIT=$limit
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "InfluxDB does not answer on $RPC, the bind-address for backups: look at the log of the server, or correct the parameter host: $(brief "$(printf '%s\n' "$answer" | tail -n 1)")"
        fi
        sleep 1
    done
    LIMIT=$limit
    VERSION=$(influxd version | sed -n 's/^InfluxDB v\([^ ]*\).*/\1/p')
}
