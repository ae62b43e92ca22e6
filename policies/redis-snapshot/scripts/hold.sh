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
    runs=$(field server run_id)
    [ -n "$runs" ] || return 1 # it does not answer
    [ "$(held "$1" run)" = "$runs" ] || return 0
    [ "$(cli config set "$PERCENTAGE" "$(held "$1" percentage)" 2>&1 </dev/null)" = OK ]
}

# Ends the hook when the percentage of the file $1 cannot be put back. The file stays for the watch.
stuck() { fail 1 "the server does not take $PERCENTAGE $(held "$1" percentage), which it had: a process in the background tries again, or set it by hand"; }

# Puts the percentage back and moves the file `held` to $1; false when somebody else had it first.
release() {
    [ -f "$HELD" ] || return 1
    put_back "$HELD" || stuck "$HELD"
    mv "$HELD" "$1" 2>/dev/null
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
                mv "$HELD" "$STORE/expired" 2>/dev/null || continue
                tries=0
                until LIMIT=$(($(date +%s) - BEGAN + 10)) && put_back "$STORE/expired"; do
                    tries=$((tries + 1))
                    [ "$tries" -lt 600 ] || exit 0
                    sleep 1
                done
            fi
        done
        exit 0
    ) </dev/null >/dev/null 2>&1 &
}
