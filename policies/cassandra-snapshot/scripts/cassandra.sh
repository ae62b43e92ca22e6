# shellcheck shell=sh disable=SC2034
# How the hooks speak to the node of their own container.
# Parameters: QUIESCENT_USER, QUIESCENT_PASSWORD_ENV, QUIESCENT_PORT.
STORE=/quiescent/state/$POLICY
TAG=quiescent

PATH=$PATH:/opt/cassandra/bin:/opt/bitnami/cassandra/bin
export PATH
PASSWORD=
if [ -n "${QUIESCENT_USER:-}" ]; then
    [ -n "${QUIESCENT_PASSWORD_ENV:-}" ] || fail 2 'the parameter user needs the parameter passwordEnv beside it'
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
    PASSWORD=$PICKED
fi
need nodetool

open_state() {
    [ -d /quiescent/state ] || fail 2 "there is no volume at /quiescent/state: create the pod anew, so that it gets one"
    error=$(mkdir -p "$STORE" 2>&1) || fail 1 "cannot create a folder in /quiescent/state: $error"
    [ -w "$STORE" ] || fail 2 "user $(id -u) cannot write to $STORE: set fsGroup, or run the container as the user who owns it"
    lock_store
    # By a file that only this user can read, and that goes with the hook.
    [ -z "$PASSWORD" ] || printf '%s %s\n' "$QUIESCENT_USER" "$PASSWORD" >"$STORE/password" || fail 1 "cannot write to $STORE"
}

node() {
    [ -z "$PASSWORD" ] || set -- -u "$QUIESCENT_USER" -pwf "$STORE/password" "$@"
    within nodetool ${QUIESCENT_PORT:+-p "$QUIESCENT_PORT"} "$@" 2>&1 </dev/null
}

# Whether there is a snapshot of ours; ends the hook when the node does not say.
is_held() {
    list=$(node listsnapshots) || gave_up 'asking the node for its snapshots' "$list"
    printf '%s\n' "$list" | grep -q "^ *$TAG "
}

clear_ours() {
    error=$(node clearsnapshot -t "$TAG") || gave_up 'clearing the snapshot' "$error"
}
