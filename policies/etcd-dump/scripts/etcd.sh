# shellcheck shell=sh disable=SC2034
# How the hooks of etcd speak to the member of their own container. All goes by variables, which the
# client reads: a flag beside its variable is an error for it, and a list of processes shows argv.
# Parameters: QUIESCENT_ENDPOINT, QUIESCENT_CACERT, QUIESCENT_CERT, QUIESCENT_KEY, QUIESCENT_USER,
# QUIESCENT_PASSWORD_ENV.

PATH=$PATH:/opt/bitnami/etcd/bin
ETCDCTL_API=3
export PATH ETCDCTL_API
unset ETCDCTL_WRITE_OUT ETCDCTL_COMMAND_TIMEOUT ETCDCTL_CLUSTER ETCDCTL_HEX ETCDCTL_DEBUG ETCDCTL_DISCOVERY_SRV

# The first of several addresses, at 127.0.0.1 where that is meant: a certificate is for names.
first_address() {
    address=${1%%,*}
    case $address in
    http://0.0.0.0:*) address=http://127.0.0.1:${address##*:} ;;
    http://\[::\]:*) address=http://127.0.0.1:${address##*:} ;;
    esac
    echo "$address"
}
locate() {
    ETCDCTL_ENDPOINTS=${QUIESCENT_ENDPOINT:-${ETCDCTL_ENDPOINTS:-}}
    # A snapshot is of one member, which is the one here.
    case $ETCDCTL_ENDPOINTS in
    '' | *,*)
        case ${ETCD_LISTEN_CLIENT_URLS:-} in
        https:*) ETCDCTL_ENDPOINTS=$(first_address "${ETCD_ADVERTISE_CLIENT_URLS:-https://127.0.0.1:2379}") ;;
        *) ETCDCTL_ENDPOINTS=$(first_address "${ETCD_LISTEN_CLIENT_URLS:-http://127.0.0.1:2379}") ;;
        esac
        ;;
    esac
    export ETCDCTL_ENDPOINTS
    case $ETCDCTL_ENDPOINTS in
    https:*) ;;
    *)
        unset ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY
        return
        ;;
    esac
    ETCDCTL_CACERT=${QUIESCENT_CACERT:-${ETCDCTL_CACERT:-${ETCD_TRUSTED_CA_FILE:-}}}
    ETCDCTL_CERT=${QUIESCENT_CERT:-${ETCDCTL_CERT:-${ETCD_CERT_FILE:-}}}
    ETCDCTL_KEY=${QUIESCENT_KEY:-${ETCDCTL_KEY:-${ETCD_KEY_FILE:-}}}
    export ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY
    for file in "$ETCDCTL_CACERT" "$ETCDCTL_CERT" "$ETCDCTL_KEY"; do
        [ -z "$file" ] || [ -r "$file" ] || fail 2 "user $(id -u) cannot read $file, which TLS needs: correct the parameters cacert, cert and key"
    done
    [ -n "$ETCDCTL_CACERT" ] || unset ETCDCTL_CACERT
    [ -n "$ETCDCTL_CERT" ] || unset ETCDCTL_CERT
    [ -n "$ETCDCTL_KEY" ] || unset ETCDCTL_KEY
}
locate

if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
elif [ -z "${ETCDCTL_USER:-}" ]; then
    pick ETCD_ROOT_PASSWORD || :
else
    PICKED=
fi
if [ -n "$PICKED" ]; then
    ETCDCTL_USER=${QUIESCENT_USER:-root}:$PICKED
    export ETCDCTL_USER
    unset ETCDCTL_PASSWORD
fi

# Runs the client for at most a few seconds: without a server it would wait on.
ask() (
    ETCDCTL_COMMAND_TIMEOUT=3s
    export ETCDCTL_COMMAND_TIMEOUT
    within etcdctl "$@" 2>&1 </dev/null
)
field() { printf '%s\n' "$STATUS" | sed -n "s/^\"$1\" : \"*\([^\"]*\)\"*$/\1/p" | sed -n 1p; }

# Waits for the member, at most so many seconds; sets VERSION and ROLE (leader, follower or learner).
# A member that has lost the others answers with old data: it must take part in a read of all.
connect() {
    patience=$(($(date +%s) + $1))
    until STATUS=$(ask endpoint status -w fields) && VERSION=$(field Version) && [ -n "$VERSION" ] && role &&
        { [ "$ROLE" = learner ] || STATUS=$(ask endpoint health); }; do
        case $STATUS in
        *'authentication failed'* | *'user name is empty'* | *'invalid auth'*)
            fail 2 "etcd does not let us in: name the container's variable with the password in the parameter passwordEnv: $(reason "$STATUS")"
            ;;
        *x509* | *'tls: '* | *certificate*)
            fail 2 "TLS with $ETCDCTL_ENDPOINTS does not come about: correct the parameters endpoint, cacert, cert and key: $(reason "$STATUS")"
            ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            [ -z "${VERSION:-}" ] ||
                fail 1 "this member of etcd does not reach a majority of the others, its data may be old: look at its log: $(reason "$STATUS")"
            # Old clients do not say that it was TLS.
            case $ETCDCTL_ENDPOINTS in
            https:*) hint=', or correct the parameters cacert, cert and key' ;;
            *) hint= ;;
            esac
            fail 1 "etcd does not answer at $ETCDCTL_ENDPOINTS: look at the log of the server$hint: $(reason "$STATUS")"
        fi
        VERSION=
        sleep 1
    done
    alarms=$(ask alarm list)
    case $alarms in
    *CORRUPT*) fail 1 "etcd has the alarm CORRUPT: its members differ, look at its log: $(brief "$alarms")" ;;
    *NOSPACE*) say 'etcd has the alarm NOSPACE: it takes no writes until that is disarmed' ;;
    esac
}
role() {
    MEMBER=$(field MemberID)
    REVISION=$(field Revision)
    SIZE=$(field DBSize)
    ROLE=follower
    [ "$MEMBER" != "$(field Leader)" ] || ROLE=leader
    [ "$(field IsLearner)" != true ] || ROLE=learner
}
# What the client says last; the rest is its log.
reason() { brief "$(printf '%s\n' "$1" | sed 's/^goroutine.*//' | grep -v '^$' | tail -n 1)"; }
