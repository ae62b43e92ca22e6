# shellcheck shell=sh disable=SC2034
# The common part of all hook scripts: sourced with `. "${0%/*}/quiescent.sh"`, never run. It keeps
# the time limit and the lock, speaks in sentences, and publishes a dump by renaming, so that no dump
# ever looks finished that is not. It knows no database. Names in capitals are shared between files.
#
# Exit codes: 0 done, or skipped with a reason; 1 failed, nothing changed; 2 cannot work as
# configured; 3 another run is active; 4 out of time; 5 what was held had gone, this backup is not
# good; 6 (restore) there are data that we did not load.
# The last line on stdout is for programs: `quiescent result=ok policy=… phase=… key=value …`.
set -u
umask 077
# Messages of the tools in the words that the scripts look for.
LC_ALL=C
export LC_ALL

SCRIPTS=${0%/*}
POLICY=${SCRIPTS##*/}
PHASE=${0##*/}
PHASE=${PHASE%.sh}
BEGAN=$(date +%s)
BEGAN_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)
LIMIT=${QUIESCENT_TIMEOUT:-25} # Velero gives a hook 30 s when nothing else is said
LOCKED=

# Where the policy keeps its files: the dump volume; `keep /quiescent/state` for what no backup takes.
keep() {
    VOLUME=$1
    STORE=$VOLUME/$POLICY
    NEW=$STORE/new
    WORK=$STORE/work
}
keep /quiescent/dump

# A note for the log of the backup.
say() { echo "quiescent: $*"; }

# Ends the hook with a code and a sentence: what, where, what to do.
fail() {
    code=$1
    shift
    echo "quiescent: $POLICY $PHASE failed: $*" >&2
    exit "$code"
}

# Ends the hook well; the rest are key=value pairs without blanks.
ok() { result ok "$@"; }
skip() { result skipped "$@"; }
result() {
    outcome=$1
    shift
    echo "quiescent result=$outcome policy=$POLICY phase=$PHASE $* seconds=$(($(date +%s) - BEGAN))"
    exit 0
}

# Ends a restore that finds data which it did not load: a failure, but for the init container of a
# restored pod, which leaves them to the server.
refuse() {
    [ "$PHASE" = init ] || fail 6 "$*"
    say "$*"
    skip reason=data-there
}

# Whether a restore may replace data that it did not load.
overwrites() { [ "${QUIESCENT_OVERWRITE:-false}" = true ]; }

# How a script puts back what it changed on every way out; scripts that hold something define their own.
undo() { :; }

leave() {
    code=$?
    trap - EXIT HUP INT TERM
    undo
    if [ -n "$LOCKED" ]; then
        rm -rf "$NEW" "$WORK"
        rm -f "$STORE/lock"
    fi
    [ "$code" = 0 ] ||
        echo "quiescent result=failed policy=$POLICY phase=$PHASE code=$code seconds=$(($(date +%s) - BEGAN))"
    exit "$code"
}
trap leave EXIT
# Without these, dash and busybox skip the EXIT trap when a signal ends them.
trap 'exit 1' HUP INT TERM

# Kubernetes writes this variable too, as tcp://…, where a Service is called "quiescent".
case ${QUIESCENT_PORT:-} in
*[!0-9]*) unset QUIESCENT_PORT ;;
esac
case $LIMIT in
'' | *[!0-9]*) fail 2 "QUIESCENT_TIMEOUT is \"$LIMIT\", not a number of seconds" ;;
esac

need() {
    for tool; do
        command -v "$tool" >/dev/null ||
            fail 2 "this container has no $tool: use an image that brings it, or another policy"
    done
}

# The first of these tools that the container has, for tools that go by several names. To be used as
# TOOL=$(first_of …) || exit 2.
first_of() {
    for tool; do
        command -v "$tool" && return
    done
    fail 2 "this container has none of $*: use an image that brings one, or another policy"
}

# Sets PICKED to the first of these variables that has a value, else to what the file named by
# NAME_FILE holds. An exec sees the container's variables, not what its entrypoint made of them.
pick() {
    for name; do
        case $name in
        '' | [0-9]* | *[!A-Za-z0-9_]*) fail 2 "\"$name\" is not the name of a variable: correct the parameter passwordEnv" ;;
        esac
        eval "PICKED=\${$name:-} file=\${${name}_FILE:-}"
        [ -z "$PICKED" ] || return 0
        [ -n "$file" ] || continue
        PICKED=$(cat "$file" 2>/dev/null) ||
            fail 2 "cannot read $file, which the variable ${name}_FILE names: is the Secret mounted and readable for this user?"
        [ -z "$PICKED" ] || return 0
    done
    PICKED=
    return 1
}

# Many lines of a tool as one of ours.
brief() { printf '%s' "$1" | tr '\n\t' '  ' | cut -c 1-600; }

# A duration such as 1h, 90s or 1m30s as seconds; 45 is seconds already.
seconds() {
    rest=$1
    sum=0
    while [ -n "$rest" ]; do
        number=${rest%%[!0-9]*}
        rest=${rest#"$number"}
        case $rest in
        h*) each=3600 ;;
        m*) each=60 ;;
        s* | '') each=1 ;;
        *) return 1 ;;
        esac
        [ -n "$number" ] || return 1
        number=${number#"${number%%[!0]*}"} # 08 would be octal
        sum=$((sum + ${number:-0} * each))
        rest=${rest#?}
    done
    echo "$sum"
}

# Seconds until the time limit, never less than 0.
left() {
    left=$((BEGAN + LIMIT - $(date +%s)))
    [ "$left" -gt 0 ] || left=0
    echo "$left"
}

# Runs a command in the time that is left. Whether time was up, `left` tells; the status, 0 or 1, does
# not. It is never another one: when this script is killed, PID 1 adopts what it ran, and a PostgreSQL
# that is PID 1 takes a child that ends with 2 or more for a backend that crashed, and restarts.
within() (
    time=$(left)
    [ "$time" -gt 0 ] || exit 1
    # Very old busybox wants another syntax, some images have no timeout at all.
    if timeout -k 1 1 true 2>/dev/null; then
        timeout -k 2 "$time" "$@" || exit 1
        exit 0
    fi
    # Our own child, watched from here: a watcher in the background would outlive us under PID 1.
    { "$@" <&3 3<&- & } 3<&0
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        [ "$(left)" -gt 0 ] || kill "$child" 2>/dev/null
        [ "$(date +%s)" -lt $((BEGAN + LIMIT + 2)) ] || kill -KILL "$child" 2>/dev/null
        sleep 0.1 2>/dev/null || sleep 1
    done
    wait "$child" || exit 1
)

# Ends the hook for a command that failed: WHAT, and what the command said.
gave_up() {
    [ "$(left)" -gt 0 ] || fail 4 "$1 was not done within $LIMIT s: raise the timeout of the hook, or look for what holds it up"
    case $2 in
    *[Nn]'o space left'* | *'rrcode: 28'* | *'rrno 28'* | *'disk is full'* | *'short write'* | *'write error'*)
        [ ! -d /quiescent/dump ] ||
            fail 1 "the dump volume /quiescent/dump is full ($(free) KiB free) during $1: raise its sizeLimit; a good dump from before is kept"
        ;;
    esac
    fail 1 "$1: $(brief "$2")"
}

# The start time of a process: with its pid it names one process for good, a pid alone does not, and
# the dump volume outlives the container's processes.
started() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086 # the fields, counted from behind the name, which may have blanks
    set -- ${stat##*) }
    echo "${20}"
}

# Takes the policy's folder in its volume for this run, and tidies up after one that was killed.
open_store() {
    [ -d "$VOLUME" ] || fail 2 "there is no ${VOLUME##*/} volume at $VOLUME: create the pod anew, so that it gets one"
    error=$(mkdir -p "$STORE" 2>&1) || gave_up "creating a folder in $VOLUME" "$error"
    [ -w "$STORE" ] || fail 2 "user $(id -u) cannot write to $STORE: set fsGroup, or run the container as the user who owns it"
    lock_store

    # Cut off between the two renames of `publish`, a run leaves the old dump under the name previous.
    [ -d "$STORE/current" ] || [ ! -d "$STORE/previous" ] || mv "$STORE/previous" "$STORE/current"
    rm -rf "$NEW" "$WORK" "$STORE/previous" "$STORE/checksums"
}

# Takes the folder STORE for this run; `leave` gives it back.
lock_store() {
    # A symbolic link is made at once with all it says: nobody ever sees a lock without its owner.
    mine="$$-$(started $$)"
    if ! error=$(ln -s "$mine" "$STORE/lock" 2>&1); then
        owner=$(readlink "$STORE/lock") || gave_up "locking $STORE" "$error"
        if now=$(started "${owner%%-*}") && [ "$now" = "${owner#*-}" ]; then
            fail 3 "another run (pid ${owner%%-*}) is active in this container: wait for it to end"
        fi
        say "a run before this one (pid ${owner%%-*}) was cut off: tidying up after it"
        # Two may want to take over: only one can move away the lock of the dead.
        mv "$STORE/lock" "$STORE/lock.$$" 2>/dev/null
        [ "$(readlink "$STORE/lock.$$")" = "$owner" ] || mv "$STORE/lock.$$" "$STORE/lock" 2>/dev/null
        rm -f "$STORE/lock.$$"
        ln -s "$mine" "$STORE/lock" 2>/dev/null || fail 3 "another run has just begun in this container: wait for it to end"
    fi
    LOCKED=yes
    # One that was killed while it took over has left its name of the lock.
    for other in "$STORE"/lock.*; do
        [ -d "/proc/${other##*.}" ] || rm -f "$other"
    done
}

# Opens the store for a new dump, which goes into NEW.
begin_dump() {
    open_store
    # From here on a restore must not take what it loaded once for what it would find now.
    rm -f "$STORE/loaded"
    error=$(mkdir "$NEW" 2>&1) || gave_up 'creating a folder in the dump volume' "$error"
}

# Ends a dump hook that has nothing to dump; the mark keeps a restore from loading an older dump.
skip_dump() {
    echo "$1" >"$STORE/skipped" || fail 1 "cannot write to the dump volume /quiescent/dump ($(free) KiB free)"
    say "nothing to dump: $1"
    skip "$2"
}

free() {
    # shellcheck disable=SC2046 # the columns of df
    set -- $(df -Pk /quiescent/dump | tail -n 1)
    echo "$4"
}

# Old and new dump lie side by side for a while: is there room for one like the last, or for as many
# bytes as are expected, and a fifth more?
check_space() {
    needed=$(manifest "$STORE/current" bytes)
    [ "${needed:-0}" -ge "${1:-0}" ] || needed=$1
    needed=$((${needed:-0} * 6 / 5 / 1024))
    [ "$(free)" -ge "$needed" ] ||
        fail 1 "the dump volume /quiescent/dump has $(free) KiB free, $needed KiB are needed beside the last dump: raise its sizeLimit"
}

# One value of the manifest of a dump; nothing when there is none.
manifest() { sed -n "s/^$2=//p" "$1/manifest" 2>/dev/null; }

# Runs a command on all files here, those in folders too.
each_file() {
    for entry in ./*; do
        if [ -d "$entry" ]; then
            within find "$entry" -type f -exec "$@" {} + || return
        else
            within "$@" "$entry" || return
        fi
    done
}

# Makes NEW the current dump: sizes and checksums of its files, the manifest last (it is the mark of
# completion), everything on disk, then two renames. The arguments are lines of the manifest.
publish() {
    sizes=$(cd "$NEW" && each_file wc -c 2>&1) || gave_up 'reading what was just written' "$sizes"
    BYTES=0
    while read -r size file; do
        [ "$file" = total ] || BYTES=$((BYTES + size))
    done <<SIZES
$sizes
SIZES
    if command -v sha256sum >/dev/null; then
        error=$(cd "$NEW" && each_file sha256sum 2>&1 >"$STORE/checksums") ||
            gave_up 'writing the checksums' "$error"
        error=$(mv "$STORE/checksums" "$NEW/checksums" 2>&1) || gave_up 'writing the checksums' "$error"
    fi
    error=$(printf '%s\n' "id=$BEGAN-$$" "policy=$POLICY" "began=$BEGAN_AT" "bytes=$BYTES" "$@" \
        complete=yes 2>&1 >"$NEW/manifest.part") || gave_up 'writing the manifest' "$error"
    [ "$(tail -n 1 "$NEW/manifest.part")" = complete=yes ] || gave_up 'writing the manifest' 'No space left'
    # These files alone: a sync without names waits for all that the node has to write.
    { (cd "$NEW" && each_file sync) && sync "$NEW"; } >/dev/null 2>&1 || [ "$(left)" = 0 ] || sync
    [ "$(left)" -gt 0 ] || gave_up 'the dump' ''

    mv "$NEW/manifest.part" "$NEW/manifest" || fail 1 "cannot rename the new manifest in $STORE"
    [ ! -d "$STORE/current" ] || mv "$STORE/current" "$STORE/previous" ||
        fail 1 "cannot rename the last dump in $STORE"
    mv "$NEW" "$STORE/current" || fail 1 "cannot rename the new dump in $STORE"
    rm -rf "$STORE/previous" "$STORE/skipped"
}

# Sets DUMP to the finished dump, or ends the hook: nothing to restore is no failure.
find_dump() {
    [ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
    for DUMP in "$STORE/current" "$STORE/previous"; do
        [ ! -f "$DUMP/manifest" ] || return 0
    done
    for part in "$STORE"/*/*; do
        [ ! -f "$part" ] || fail 1 "the dump in $STORE has no mark of completion: it was cut off, restore from another backup"
    done
    skip reason=no-dump
}

# Opens the store for a restore of the finished dump DUMP, unread until its checksums hold.
begin_restore() {
    find_dump
    open_store
    find_dump # once more: the store may have put a dump back in its place
    ID=$(manifest "$DUMP" id)
    if [ -f "$DUMP/checksums" ] && command -v sha256sum >/dev/null; then
        (cd "$DUMP" && within sha256sum -c checksums >/dev/null 2>&1) ||
            gave_up "checking the dump $ID" "its files are not what was written (checksums in $DUMP): restore from another backup"
    fi
    mkdir "$WORK" || fail 1 "cannot write to the dump volume /quiescent/dump ($(free) KiB free)"
}

# All that a post hook of a dump has to do. It must not delete: Velero 1.14.0 to 1.15.0 upload later.
report_dump() {
    [ ! -f "$STORE/skipped" ] || skip reason=skipped-at-backup
    DUMP=$STORE/current
    [ -f "$DUMP/manifest" ] || fail 1 "there is no finished dump in $STORE: see what the pre hook said"
    id=$(manifest "$DUMP" id)
    ok "dump=$id age=$((BEGAN - ${id%%-*})) bytes=$(manifest "$DUMP" bytes)"
}
