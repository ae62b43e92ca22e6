# shellcheck shell=sh disable=SC2034
# How rewrites of the append-only file are held back while a snapshot is taken: the percentage at which
# the server begins one by itself is set to 0. What it was stands in the file `held`, outside of the
# volumes that are taken, with the run of the server that it belongs to. Whoever moves that file away
# (post.sh, or the watch when time is up) is the one who puts the percentage back.

keep /quiescent/state
HELD=$STORE/held
PERCENTAGE=auto-aof-rewrite-percentage

# What changes when the file was rewritten, or the server started anew. Redis 6 does not count.
append_only_state() { echo "$(field server run_id) $(field persistence aof_rewrites) $(field persistence aof_base_size)"; }

# One line of the file `held`, or of one that was moved away.
held() { sed -n "s/^$2=//p" "$1" 2>/dev/null; }

# Gives the server back the percentage that the file $1 remembers, unless it started anew since.
put_back() {
    [ "$(held "$1" run)" = "$(field server run_id)" ] || return 0
    [ "$(cli config set "$PERCENTAGE" "$(held "$1" percentage)" 2>&1 </dev/null)" = OK ]
}

# Moves the file `held` to $1 and puts the percentage back; false when somebody else had it first. What
# cannot be put back now is left to the watch.
release() {
    mv "$HELD" "$1" 2>/dev/null || return 1
    put_back "$1" || {
        mv "$1" "$HELD"
        fail 1 "the server does not take $PERCENTAGE $(held "$HELD" percentage), which it had: set it by hand"
    }
}

# Lets rewrites begin again when nobody has come until the time $1. A process of its own, all of whose
# streams are closed, or the exec would wait for it; its last word is 0, since PID 1 may take notice.
watch_until() {
    (
        trap - EXIT HUP INT TERM
        mine=$(held "$HELD" by)
        while [ "$(held "$HELD" by)" = "$mine" ]; do
            if [ "$(date +%s)" -lt "$1" ]; then
                sleep 1
            else
                LIMIT=$(($(date +%s) - BEGAN + 10))
                mv "$HELD" "$STORE/expired" 2>/dev/null && put_back "$STORE/expired"
            fi
        done
        exit 0
    ) </dev/null >/dev/null 2>&1 &
}
