# shellcheck shell=sh disable=SC2034
# Which processes are meant, and how they are started again.
# Parameters: QUIESCENT_PROCESS, QUIESCENT_STOP, QUIESCENT_START.
WHY=
NAME=${QUIESCENT_PROCESS:-}
STOP=${QUIESCENT_STOP:-}
START=${QUIESCENT_START:-}
case ${STOP:+stop}${START:+start} in
stop | start) fail 2 'the parameters stop and start belong together: set both, or none' ;;
esac
[ -n "$NAME$STOP" ] || fail 2 'the parameter process is empty: name the processes that are to stand still'

# One letter: T for a process that stands still.
state() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    echo "${stat%% *}"
}

parent() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    stat=${stat#* }
    echo "${stat%% *}"
}

# This script and who waits for it: where shells are to stand still, these go on.
OURS=' '
pid=$$
while [ "${pid:-0}" -gt 1 ]; do
    OURS="$OURS$pid "
    pid=$(parent "$pid")
done

# The pids of that name, without what the kernel has not cleared away yet.
named() {
    for comm in /proc/[0-9]*/comm; do
        read -r its <"$comm" || continue
        [ "$its" = "$NAME" ] || continue
        pid=${comm#/proc/}
        pid=${pid%/comm}
        case $OURS in
        *" $pid "*) continue ;;
        esac
        [ "$(parent "$pid")" = $$ ] || [ "$(state "$pid")" = Z ] || echo "$pid"
    done 2>/dev/null
}

# A command of the team's, in the time that is left; it may leave a server behind, which must not hold
# the streams of the exec.
command_of_team() { within /bin/sh -c "$1" </dev/null >"$STORE/said" 2>&1; }

# The notes are lines of pid-start, or `command`.
let_go() {
    [ -f "$STORE/notes" ] || return 0
    if [ "$(cat "$STORE/notes")" = command ]; then
        [ -z "$NAME" ] || [ -z "$(named)" ] || LOST="a process \"$NAME\" had been started again"
        command_of_team "$START" || {
            WHY="the command of the parameter start failed: $(brief "$(tail -n 3 "$STORE/said")")"
            return 1
        }
        WHY="after the command of the parameter start there is no process \"$NAME\""
        [ -z "$NAME" ] || until [ -n "$(named)" ]; do
            [ "$(left)" -gt 0 ] || return 1
            pause
        done
        return 0
    fi
    failed=
    while read -r one; do
        if alive "$one"; then
            [ "$(state "${one%%-*}")" = T ] || LOST="the process \"$NAME\" (pid ${one%%-*}) did not stand still any more"
            kill -CONT "${one%%-*}" 2>/dev/null || failed=yes
        else
            LOST="the process \"$NAME\" (pid ${one%%-*}) has ended"
        fi
    done <"$STORE/notes"
    WHY='the processes take no signal'
    [ -z "$failed" ]
}
