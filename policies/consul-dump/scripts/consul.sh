# shellcheck shell=sh disable=SC2034
# How the hooks of Consul speak to the agent of their own container: by the variables that the client
# reads (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT …). Parameters: QUIESCENT_TOKEN_ENV.

PATH=$PATH:/opt/bitnami/consul/bin
export PATH
unset CONSUL_HTTP_STALE

if [ -n "${QUIESCENT_TOKEN_ENV:-}" ]; then
    pick "$QUIESCENT_TOKEN_ENV" || fail 2 "the variable $QUIESCENT_TOKEN_ENV is empty: correct the parameter tokenEnv"
    CONSUL_HTTP_TOKEN=$PICKED
    export CONSUL_HTTP_TOKEN
    unset CONSUL_HTTP_TOKEN_FILE
fi

ask() { within consul "$@" 2>&1 </dev/null; }
field() { printf '%s\n' "$INFO" | sed -n "s/^[[:space:]]*$1 = //p" | sed -n 1p; }
refused() {
    case $1 in
    *'code: 403'* | *'ermission denied'* | *'ACL not found'*)
        fail 2 "Consul does not let us in: name the container's variable with a management token in the parameter tokenEnv: $(brief "$1")"
        ;;
    esac
}

# Waits for the agent and for a leader, at most so many seconds; sets ROLE (leader, follower or
# client), VERSION and INDEX.
connect() {
    patience=$(($(date +%s) + $1))
    while :; do
        # An agent that stands still would hold its client up.
        INFO=$(LIMIT=$(($(date +%s) - BEGAN + 5)) && ask info)
        ROLE=follower
        [ "$(field leader)" != true ] || ROLE=leader
        VERSION=$(field version)
        INDEX=$(field commit_index)
        case $(field server) in
        true) case $(field leader_addr) in ?*) return ;; esac ;;
        false)
            ROLE=client
            return
            ;;
        esac
        [ "$1" -gt 5 ] || refused "$INFO"
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            refused "$INFO"
            [ "$(field server)" != true ] ||
                fail 1 'the servers of Consul have no leader: look at their logs'
            fail 1 "Consul does not answer at ${CONSUL_HTTP_ADDR:-127.0.0.1:8500}: look at the log of the agent: $(brief "$INFO")"
        fi
        sleep 1
    done
}
