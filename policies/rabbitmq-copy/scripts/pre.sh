#!/bin/sh
# Exports the definitions of the whole cluster (virtual hosts, users, permissions, policies, queues,
# exchanges, bindings), which only a healthy node does. Nothing waits. The messages are in the data volume.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

# Bitnami's tools are not always on the PATH of an exec.
PATH=$PATH:/opt/bitnami/rabbitmq/sbin
export PATH
need rabbitmqctl

# The tool shows the node the cookie that it finds in HOME; without one it makes up another.
for home in "${HOME:-}" "${RABBITMQ_HOME_DIR:-}" /var/lib/rabbitmq /opt/bitnami/rabbitmq/.rabbitmq; do
    if [ -n "$home" ] && [ -r "$home/.erlang.cookie" ]; then
        HOME=$home
        export HOME
        break
    fi
done

begin_dump
check_space
said=$(within rabbitmqctl -q --timeout 20 export_definitions --format json "$NEW/definitions.json" 2>&1 </dev/null) || {
    # Its last words say what it tried, the first ones what all might be.
    tried=$(printf '%s\n' "$said" | sed -n '/^attempted/,/^Current/s/^ *\* //p')
    case $said in
    *enospc*) gave_up 'exporting the definitions' "No space left: $said" ;;
    *'distribution failed'* | *'uthentication failed'*)
        fail 1 "the node does not take our connection: look at its log, and whether HOME of the container is the folder of its .erlang.cookie: $(brief "$tried")"
        ;;
    *'unable to perform an operation'* | *nodedown* | *'timed out'* | *timeout*)
        fail 1 "RabbitMQ does not answer: look at the log of the server: $(brief "${tried:-$said}")"
        ;;
    esac
    gave_up 'exporting the definitions' "$said"
}
[ "$(tail -c 1 "$NEW/definitions.json" 2>/dev/null)" = '}' ] ||
    gave_up 'exporting the definitions' "No space left, or the file has no end: $said"
version=$(sed -n 's/.*"rabbitmq_version": *"\([^"]*\)".*/\1/p' "$NEW/definitions.json")

publish "server=$version" "node=${RABBITMQ_NODENAME:-}"
ok "bytes=$BYTES" "server=$version"
