#!/bin/sh
# Makes a snapshot of the data volume taken from now on worth having: a BGSAVE that began after this
# hook did, waited for, and on disk. With an append-only file it also holds back rewrites of that file
# until post.sh, since one that is rewritten while it is copied does not load again. Clients go on.
# Parameters: QUIESCENT_HOLD_LIMIT. Replicas save too: after a restore one of them may be the master.
# shellcheck disable=SC2034,SC2153 # LIMIT is the library's, PERCENTAGE is in hold.sh
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"
# shellcheck source=/dev/null
. "${0%/*}/hold.sh"

# Ends the hook for a command that the server did not carry out.
refused() {
    [ "$(left)" -gt 0 ] || gave_up "$1" ''
    fail 2 "the server does not let us run $1: the user needs +$2: $(brief "$3")"
}
pause() { sleep 0.1 2>/dev/null || sleep 1; }

need df
hold_limit=$(seconds "${QUIESCENT_HOLD_LIMIT:-1h}") ||
    fail 2 "the parameter holdLimit is \"$QUIESCENT_HOLD_LIMIT\": write a duration such as 1h"
open_store
connect 5
[ "$ROLE" != sentinel ] || skip role=sentinel

# Velero takes the volumes of a pod one after another.
data=$(setting dir)
[ -n "$data" ] || refused 'CONFIG GET' 'config|get' "$(cli config get dir 2>&1 </dev/null)"
# A group of volumes is cut in one moment, as one volume is.
volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p' | sed "${QUIESCENT_GROUP:+s/.*/group/}"; }
append_only=$data/$(setting appenddirname)
home=$(volume "$data/.")
there=$(volume "$append_only/.")
[ "${there:-$home}" = "$home" ] ||
    fail 2 "$append_only lies on another volume than $data: a snapshot of two volumes is not of one moment; set the label quiescent.dev/method=dump"

# A BGSAVE that fails can make the server refuse writes: it must not begin without room for another.
# shellcheck disable=SC2046 # the columns of ls
set -- $(ls -ln "$data/$(setting dbfilename)" 2>/dev/null)
needed=$((${5:-0} * 6 / 5 / 1024))
# shellcheck disable=SC2046 # the columns of df
set -- $(df -Pk "$data/." 2>/dev/null | tail -n 1)
[ "${4:-$needed}" -ge "$needed" ] ||
    fail 1 "the data volume at $data has $4 KiB free, $needed KiB are needed beside the last dump.rdb: make it larger"

holding=
undo() {
    [ -n "$holding" ] || return 0
    holding=
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    if put_back "$HELD"; then
        rm -f "$HELD"
    else
        say "$PERCENTAGE cannot be put back now, a process in the background does it after the limit"
    fi
}

persistence=$(cli info persistence 2>/dev/null </dev/null | tr -d '\r')
case $persistence in
*'aof_last_write_status:err'*)
    fail 1 'the server cannot write its append-only file: look at its log, and whether the data volume is full'
    ;;
*aof_enabled:1*)
    percentage=$(setting "$PERCENTAGE")
    run=$(field server run_id)
    [ -n "${percentage:+$run}" ] || refused 'CONFIG GET' 'config|get' "$(cli config get "$PERCENTAGE" 2>&1 </dev/null)"
    # A run that was killed, or whose post hook never came: what it found counts, not what it set.
    earlier=
    if [ "$(held "$HELD" run)" = "$run" ]; then
        earlier=$HELD
    elif [ "$percentage" = 0 ] && [ "$(held "$STORE/expired" run)" = "$run" ]; then
        earlier=$STORE/expired
    fi
    if [ -n "$earlier" ]; then
        say 'the hold of a run before this one goes on in this one'
        percentage=$(held "$earlier" percentage)
    fi
    if ! error=$(printf '%s\n' "run=$run" "percentage=$percentage" "by=$$-$BEGAN" 2>&1 >"$HELD.part") ||
        ! error=$(mv "$HELD.part" "$HELD" 2>&1); then
        fail 1 "cannot write to $STORE: $(brief "$error")"
    fi
    holding=yes
    rm -f "$STORE/expired"
    watch_until $(($(date +%s) + hold_limit))
    answer=$(cli config set "$PERCENTAGE" 0 2>&1 </dev/null)
    case $answer in
    OK) ;;
    *NOPERM* | *ERR*)
        holding=
        [ -n "$earlier" ] || rm -f "$HELD"
        fail 2 "the server does not let us set $PERCENTAGE, which holds back rewrites: the user needs +config|set: $(brief "$answer")"
        ;;
    *) gave_up 'holding back rewrites' "$answer" ;;
    esac
    until
        persistence=$(cli info persistence 2>/dev/null </dev/null | tr -d '\r')
        case $persistence in
        *aof_rewrite_in_progress:1* | *aof_rewrite_scheduled:1*) false ;;
        *aof_enabled:*) ;;
        *) false ;;
        esac
    do
        [ "$(left)" -gt 0 ] || gave_up 'the rewrite of the append-only file that was running' ''
        pause
    done
    ;;
*rdb_bgsave_in_progress*) put_back "$HELD" && rm -f "$HELD" ;;
*) refused INFO info "$persistence" ;;
esac

# LASTSAVE counts whole seconds: to be seen, ours must not end in the one of the last. One that runs
# already may have begun before us.
until
    last=$(cli lastsave 2>&1 </dev/null)
    case $last in
    '' | *[!0-9]*) refused LASTSAVE lastsave "$last" ;;
    esac
    now=$(cli time 2>&1 </dev/null | sed -n 1p)
    answer=
    case $now in
    '' | *[!0-9]*) refused TIME time "$now" ;;
    *) [ "$now" -le "$last" ] || answer=$(cli bgsave 2>&1 </dev/null) ;;
    esac
    case $answer in
    '' | *'in progress'* | *'child process'* | 'Background saving started'*) ;;
    *) refused BGSAVE bgsave "$answer" ;;
    esac
    [ "${answer#Background saving started}" != "$answer" ]
do
    [ "$(left)" -gt 0 ] || gave_up 'waiting for a save that was running' ''
    pause
done
until [ "$(cli lastsave 2>/dev/null </dev/null)" -gt "$last" ] 2>/dev/null &&
    [ "$(field persistence rdb_bgsave_in_progress)" = 0 ]; do
    case $(cli info persistence 2>/dev/null </dev/null) in
    *rdb_bgsave_in_progress:1*) ;;
    *rdb_last_bgsave_status:err*)
        refused=
        [ "$(setting stop-writes-on-bgsave-error)" != yes ] || [ -z "$(setting save)" ] ||
            refused=', and the server refuses writes until one succeeds'
        fail 1 "the BGSAVE failed$refused: look at the log of the server, and whether the data volume at $data is full"
        ;;
    esac
    [ "$(left)" -gt 0 ] || gave_up 'the BGSAVE' ''
    pause
done

# What clients were told is written must leave the caches too: the file of the save, and the
# append-only file, of which the server may hold back up to two seconds by itself.
until [ "$(field persistence aof_buffer_length)" -le 0 ] 2>/dev/null || [ -z "$holding" ]; do
    [ "$(left)" -gt 0 ] || gave_up 'writing the append-only file' ''
    pause
done
sync -f "$data" 2>/dev/null || sync

if [ -n "$holding" ]; then
    error=$(printf '%s\n' "state=$(append_only_state)" 2>&1 >>"$HELD") || fail 1 "cannot write to $STORE: $(brief "$error")"
    holding=
    set -- append-only=held
else
    set -- append-only=no
fi
if [ "$ROLE" = slave ]; then
    [ "$(field replication master_link_status)" = up ] ||
        say 'the link of this replica to its master is down: its data may be old'
    ROLE=replica
else
    ROLE=primary
fi
ok "role=$ROLE" "keys=$(cli info keyspace 2>/dev/null </dev/null | keys)" "$@" "server=$VERSION"
