# shellcheck shell=sh disable=SC2034
# Where ZooKeeper's configuration and port are, and whether it serves.
# Parameters: QUIESCENT_CONFIG, QUIESCENT_PORT.

CONFIG=${QUIESCENT_CONFIG:-}
if [ -z "$CONFIG" ]; then
    for CONFIG in "${ZOO_CONF_DIR:-/conf}/zoo.cfg" "${ZOO_CONF_FILE:-/opt/bitnami/zookeeper/conf/zoo.cfg}" \
        /etc/kafka/zookeeper.properties ''; do
        [ ! -f "$CONFIG" ] || break
    done
elif [ ! -r "$CONFIG" ]; then
    fail 2 "user $(id -u) cannot read $CONFIG: correct the parameter config"
fi

# One setting of the configuration; the last one counts.
setting() { [ -z "$CONFIG" ] || sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$CONFIG" | tail -n 1; }

PORT=${QUIESCENT_PORT:-${ZOO_PORT_NUMBER:-${ZOOKEEPER_CLIENT_PORT:-$(setting clientPort)}}}
PORT=${PORT:-2181}

# Waits for the server, at most so many seconds; sets VERSION, MODE and NODES.
connect() {
    patience=$(($(date +%s) + $1))
    while :; do
        answer=$(talk "$PORT" srvr)
        case $answer in
        *'Mode: '*) break ;;
        *'not currently serving'*) why="the server has no quorum" ;;
        *) why="the server does not answer on 127.0.0.1:$PORT" ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "$why: look at its log: $(brief "$answer")"
        fi
        sleep 1
    done
    line() { printf '%s\n' "$answer" | sed -n "s/^$1: *//p"; }
    VERSION=$(line 'Zookeeper version')
    VERSION=${VERSION%%[!0-9.]*}
    MODE=$(line Mode)
    NODES=$(line 'Node count')
}
