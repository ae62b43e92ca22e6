#!/bin/sh
# Loads the snapshot of pre.sh into an empty server: a second server in this container serves it, and
# the first replicates from there. (A server with an append-only file ignores dump.rdb at its start.)
# It never touches keys that it did not load itself: then it ends with 6. A second run changes nothing.
# Without a dump, and on a replica, it ends with 0. It needs memory for the data twice.
# shellcheck disable=SC2034 # LIMIT is the library's
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/redis.sh"

begin_restore
server=$(first_of valkey-server redis-server) || exit 2
connect 300

# What is to be undone on every way out, also by the next run after one that was killed: the second
# server's port, pid and start time, and whether we gave the first one a password for replication.
second_port=
second_pid=
second_start=
lent=
undo() {
    [ -n "$second_port" ] || return
    limit=$LIMIT
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    [ "$(field replication master_port)" != "$second_port" ] || cli replicaof no one >/dev/null 2>&1 </dev/null
    [ "$lent" != yes ] || cli config set masterauth '' >/dev/null 2>&1 </dev/null
    [ -z "$second_pid" ] || [ "$(started "$second_pid")" != "$second_start" ] || kill "$second_pid"
    wait
    rm -f "$STORE/loading"
    second_port=
    second_pid=
    lent=
    LIMIT=$limit
}
note() { echo "$second_port $second_pid $second_start $lent" >"$STORE/loading" || fail 1 "cannot write to $STORE"; }

# Still the replica of a run that was killed: nobody can have written since, so begin again.
ours=
if [ -f "$STORE/loading" ] && read -r second_port second_pid second_start lent <"$STORE/loading"; then
    [ "$(field replication master_port)" != "$second_port" ] || ours=yes
    undo
    ROLE=$(field replication role)
fi
if [ "$ROLE" != master ]; then
    say "this server is a replica and was not loaded, but the dump of $(manifest "$DUMP" began) lies here: if the primary has no data, load it there by hand"
    skip role=replica
fi
[ "$(field cluster cluster_enabled)" != 1 ] ||
    fail 2 "a member of a cluster cannot replicate from outside: load $DUMP/dump.rdb by hand, with the cluster stopped"

count=$(cli info keyspace 2>/dev/null </dev/null | keys)
if [ "$count" != 0 ] && [ -z "$ours" ]; then
    [ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"
    overwrites ||
        fail 6 "there are $count keys that this hook did not load: nothing was changed; run FLUSHALL, or set the parameter overwrite, and run the hook again if the dump is to replace them"
fi
say "loading the dump of $(manifest "$DUMP" began)"

# The second server asks for the password with which the first one would replicate anyway; where there
# is none, for one made up here.
token=$(setting masterauth)
user=$(setting masteruser)
made_up=
if [ -z "$token" ]; then
    made_up=yes
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
fi
[ -n "$token" ] || fail 2 'cannot make a password: this container has no od'
quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
ln "$DUMP/dump.rdb" "$WORK/dump.rdb" || fail 1 "cannot write to $STORE"
# Below those that the kernel hands out by itself.
second_port=$((20000 + $$ % 12000))
cat >"$WORK/second.conf" <<CONF || fail 1 "cannot write to $STORE"
port $second_port
bind 127.0.0.1
dir "$WORK"
dbfilename dump.rdb
save ""
appendonly no
repl-diskless-sync yes
repl-diskless-sync-delay 0
requirepass "$(quoted "$token")"
${user:+user "$(quoted "$user")" on ">$(quoted "$token")" ~* +@all}
CONF
"$server" "$WORK/second.conf" >"$WORK/log" 2>&1 </dev/null &
second_pid=$!
second_start=$(started "$second_pid")
note

second() { ask "$second_port" "$token" "$@" 2>&1 </dev/null; }
pause() { sleep 0.2 2>/dev/null || sleep 1; }
until [ "$(second ping)" = PONG ]; do
    kill -0 "$second_pid" 2>/dev/null || fail 1 "a second server with the dump does not start: $(brief "$(tail -n 3 "$WORK/log")")"
    [ "$(left)" -gt 0 ] || gave_up 'reading the dump' ''
    pause
done
wanted=$(second info keyspace | keys)

if [ -n "$made_up" ]; then
    lent=yes
    note
    # The last argument comes from stdin: nobody sees it in a list of processes.
    answer=$(printf '%s' "$token" | cli -x config set masterauth 2>&1)
    [ "$answer" = OK ] || fail 2 "the server does not let us set masterauth, which loading needs: $(brief "$answer")"
fi
# Replication throws away all that is there.
[ "$(cli info keyspace 2>/dev/null </dev/null | keys)" -le "$count" ] ||
    fail 6 "somebody wrote keys while the dump was read: nothing was changed; stop the application, run FLUSHALL and the hook again if the dump is to replace them"
answer=$(cli replicaof 127.0.0.1 "$second_port" 2>&1 </dev/null)
[ "$answer" = OK ] || fail 2 "the server does not let us run REPLICAOF, which loading needs: $(brief "$answer")"
until [ "$(field replication master_link_status)" = up ] && [ "$(field replication master_sync_in_progress)" = 0 ]; do
    [ "$(left)" -gt 0 ] || gave_up 'loading the dump' ''
    kill -0 "$second_pid" 2>/dev/null || fail 1 "the second server ended while the dump was loaded: $(brief "$(tail -n 3 "$WORK/log")")"
    pause
done
# Said while nobody can write yet: whoever is killed after the next line leaves keys that are ours.
echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
answer=$(cli replicaof no one 2>&1 </dev/null)
[ "$answer" = OK ] || fail 1 "the server is still a replica of 127.0.0.1:$second_port: run REPLICAOF NO ONE: $(brief "$answer")"
count=$(cli info keyspace 2>/dev/null </dev/null | keys)
[ "$count" != 0 ] || [ "$wanted" = 0 ] || fail 1 "the server has no keys after loading, the dump has $wanted: look at its log"
undo
ok "dump=$ID" "keys=$count"
