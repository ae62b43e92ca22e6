#!/bin/sh
# Has all processes of a name stand still: by SIGSTOP, or by a command of the team's. They go on by the
# post hook, on every failure, and by themselves after the limit. Those that stood still before stay so.
# Never PID 1: the kernel does not let anybody in its own container stop it by a signal.
# Parameters: QUIESCENT_PROCESS, QUIESCENT_STOP, QUIESCENT_START, QUIESCENT_LIMIT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"
# shellcheck source=/dev/null
. "${0%/*}/process.sh"

none() { fail 2 "there is no process \"$NAME\" in this container (names have 15 characters at most): correct the parameter process, or let the containers of the pod share their processes"; }

if [ -n "$STOP" ]; then
    [ -z "$NAME" ] || [ -n "$(named)" ] || none
    begin_hold
    note command
    command_of_team "$STOP" || {
        [ "$(left)" -gt 0 ] || fail 4 "the command of the parameter stop was not done within $LIMIT s: raise the timeout of the hook"
        fail 1 "the command of the parameter stop failed: $(brief "$(tail -n 3 "$STORE/said")")"
    }
    [ -z "$NAME" ] || while [ -n "$(named)" ]; do
        [ "$(left)" -gt 0 ] || fail 4 "after the command of the parameter stop a process \"$NAME\" still ran for $LIMIT s: correct the command, or raise the timeout of the hook"
        pause
    done
    kept
    ok by=command "limit=$MOST"
fi

# The end of what an earlier run holds comes first: what it has stopped is not stopped by others.
[ -n "$(named)" ] || none
begin_hold
stopped=
# A process may fork while its siblings are stopped: again, until a round finds nobody who runs.
while :; do
    running=
    for pid in $(named); do
        case "$stopped " in
        *" $pid "*) ;;
        *)
            [ "$(state "$pid")" != T ] || continue
            [ "$pid" != 1 ] || fail 2 "the process \"$NAME\" is PID 1 of this container, which no signal from inside can stop: set shareProcessNamespace on the pod, or the parameters stop and start"
            start=$(started "$pid") || continue
            note "$pid-$start"
            kill -STOP "$pid" 2>/dev/null || {
                ! alive "$pid-$start" || fail 2 "user $(id -u) may not stop the process \"$NAME\" (pid $pid): run the container as its user"
                continue
            }
            stopped="$stopped $pid"
            ;;
        esac
        [ "$(state "$pid")" = T ] || running="$running $pid"
    done
    [ -n "$running" ] || break
    [ "$(left)" -gt 0 ] || fail 4 "the process \"$NAME\" (pid$running) does not stand still after $LIMIT s: does it wait for a disk?"
    pause
done
[ -n "$stopped" ] || fail 1 "all processes \"$NAME\" stood still before: see who has stopped them"
kept
# shellcheck disable=SC2086 # a list
set -- $stopped
ok by=signal "stopped=$#" "limit=$MOST"
