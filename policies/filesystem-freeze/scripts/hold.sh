# shellcheck shell=sh disable=SC2034,SC2154
# Holds something from pre to post, whatever happens in between. Sourced after quiescent.sh by the
# scripts of a policy that defines `let_go`: it undoes what the policy did as its notes in STORE say,
# may run any number of times, fails when it could not, and sets LOST to a sentence when something
# had gone before. Parameter: QUIESCENT_LIMIT.
#
# A process in the background lets go when post has not come in time, or when pre was killed. It has
# none of the exec's streams, minds no signal and ends with 0, so that a server that is PID 1 and
# adopts it goes on. Nobody signals it: it goes by names of files, which change by renaming alone:
# taking (pre at work), held, ending (post at work); expiring (the process at work), expired.
STORE=/quiescent/state/$POLICY
ID=$BEGAN-$$
LOST=
HOLDING=
MOST=

# Seconds that no change of the clock moves.
uptime_now() {
    read -r up rest </proc/uptime
    echo "${up%%.*}"
}

alive() { now=$(started "${1%%-*}") && [ "$now" = "${1#*-}" ]; }

# The file of this kind, if there is one.
file_of() {
    for file in "$STORE/$1".*; do
        [ ! -f "$file" ] || {
            echo "$file"
            return
        }
    done
}

open_state() {
    [ -d /quiescent/state ] || fail 2 "there is no volume at /quiescent/state: create the pod anew, so that it gets one"
    error=$(mkdir -p "$STORE" 2>&1) || fail 1 "cannot create a folder in /quiescent/state: $error"
    [ -w "$STORE" ] || fail 2 "user $(id -u) cannot write to $STORE: set fsGroup, or run the container as the user who owns it"
    lock_store
    settle
}

# Waits while the process in the background lets go, and does it in its place when it was killed.
settle() {
    while expiring=$(file_of expiring) && [ -n "$expiring" ]; do
        if ! alive "$(cat "$STORE/watcher.${expiring##*.}" 2>/dev/null)"; then
            let_go || fail 1 "what an earlier run holds cannot be let go: $(brief "$WHY")"
            mv "$expiring" "$STORE/expired" 2>/dev/null
        fi
        [ "$(left)" -gt 0 ] || fail 4 "an earlier hold is being let go, and that was not done within $LIMIT s: look for what holds it up"
        pause
    done
}

pause() { sleep 0.1 2>/dev/null || sleep 1; }

# Ends what an earlier run holds. What is being let go then is waited for, so that it cannot hit us.
end_earlier() {
    for kind in taking held ending; do
        earlier=$(file_of $kind)
        [ -n "$earlier" ] || continue
        say 'an earlier run was not followed by a post hook: letting go of what it holds'
        let_go || fail 1 "what an earlier run holds cannot be let go: $(brief "$WHY")"
        rm -f "$earlier"
        settle
    done
    rm -f "$STORE"/watcher.* "$STORE/expired" "$STORE/notes"
    LOST=
}

# Opens the state for a hold. From here on it is undone on every way out that does not pass `kept`.
begin_hold() {
    MOST=$(seconds "${QUIESCENT_LIMIT:-}") || MOST=0
    [ "$MOST" -gt 0 ] ||
        fail 2 "the parameter limit is \"${QUIESCENT_LIMIT:-}\": write a duration such as 2m"
    open_state
    end_earlier
    error=$( (: >"$STORE/taking.$ID") 2>&1) || fail 1 "cannot write to $STORE: $error"
    HOLDING=yes
    # In a subshell: a redirected function keeps copies of the streams, and the exec would wait for them.
    (watch) </dev/null >/dev/null 2>&1 &
}

# The process in the background.
watch() {
    trap - EXIT
    trap '' HUP INT TERM
    read -r me rest </proc/self/stat
    echo "$me-$(started "$me")" >"$STORE/watcher.$ID"
    end=$(($(uptime_now) + MOST))
    why="after the limit of $MOST s"
    while [ "$(uptime_now)" -lt "$end" ]; do
        sleep 1
        if [ -f "$STORE/taking.$ID" ]; then
            alive "$mine" || {
                why='when the pre hook had been killed'
                break
            }
        elif [ ! -f "$STORE/held.$ID" ] && [ ! -f "$STORE/ending.$ID" ]; then
            exit 0
        fi
    done
    for kind in taking held ending; do
        mv "$STORE/$kind.$ID" "$STORE/expiring.$ID" 2>/dev/null || continue
        tries=0
        until BEGAN=$(date +%s) LIMIT=30 && let_go; do
            tries=$((tries + 1))
            [ "$tries" -lt 600 ] || exit 0
            sleep 1
        done
        echo "$why" >"$STORE/expiring.$ID"
        mv "$STORE/expiring.$ID" "$STORE/expired"
    done
    exit 0
}

# Writes down what is about to be done, for whoever undoes it.
note() {
    error=$( (printf '%s\n' "$1" >>"$STORE/notes") 2>&1) || fail 1 "cannot write to $STORE: $error"
}

# All is held: from here on it is for post, or for the process in the background.
kept() {
    [ "$(left)" -gt 0 ] || fail 4 "it was not done within $LIMIT s: raise the timeout of the hook, or look for what holds it up"
    mv "$STORE/taking.$ID" "$STORE/held.$ID" 2>/dev/null ||
        fail 4 "it took longer than the limit of $MOST s, after which all was let go: raise the parameter limit"
    HOLDING=
}

undo() {
    [ -n "$HOLDING" ] || return
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    if let_go; then
        rm -f "$STORE"/*."$ID" "$STORE/notes"
    else
        say "what was done cannot be undone now, a process in the background tries again: $(brief "$WHY")"
    fi
}

# Lets go of what pre holds, or ends the hook with the truth: then the backup is not good.
end_hold() {
    open_state
    held=$(file_of held)
    ID=${held##*.}
    if [ -n "$held" ] && mv "$held" "$STORE/ending.$ID" 2>/dev/null; then
        let_go || fail 1 "what pre did cannot be undone: $(brief "$WHY"); a process in the background tries again until the limit"
        settle # the time may have been up just now
        rm -f "$STORE"/*."$ID" "$STORE/notes"
        [ -z "$LOST" ] || fail 5 "$LOST: this backup is not good"
        HELD=$((BEGAN - ${ID%%-*}))
        return
    fi
    settle # it may have expired just now
    because=$(cat "$STORE/expired" 2>/dev/null)
    end_earlier
    [ -z "$because" ] || fail 5 "what pre held was let go $because, before this hook: this backup is not good; look for what took so long, or raise the parameter limit"
    fail 5 'nothing is held: pre did not run, or it failed: this backup is not good'
}
