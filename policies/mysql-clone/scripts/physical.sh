# shellcheck shell=sh disable=SC2034
# Puts the files of a physical backup where a server will start on them: into an empty data directory,
# before the server runs. QUIESCENT_DATA_DIRECTORY names it where the image has it elsewhere.

PATH=$PATH:/opt/bitnami/mysql/bin:/opt/bitnami/mariadb/bin
export PATH

LIMIT=${QUIESCENT_TIMEOUT:-86400} # nobody ends an init container

DATA=${QUIESCENT_DATA_DIRECTORY:-}
for folder in /bitnami/mysql /bitnami/mariadb; do
    [ -n "$DATA" ] || [ ! -d "$folder" ] || DATA=$folder/data
done
DATA=${DATA:-/var/lib/mysql}

# What lies in the data directory; a new file system has a folder of its own.
contents() {
    for entry in "$DATA"/* "$DATA"/.[!.]*; do
        [ ! -e "$entry" ] || [ "$entry" = "$DATA/lost+found" ] || printf '%s\n' "$entry"
    done
}
clear_data() {
    contents | while read -r entry; do
        rm -rf "$entry"
    done
}

# What we put there goes again when it is not complete, also after a run that was killed.
undo() {
    [ -n "$LOCKED" ] && [ "$(cat "$STORE/loading" 2>/dev/null)" = "$DATA" ] || return
    clear_data
    rm -f "$STORE/loading"
}

# Copies the backup's files into the data directory. `settle` has then to be called in the end.
put_back() {
    find_dump
    ID=$(manifest "$DUMP" id)
    # Killed after its last step but one, a run leaves both notes, and data that are complete.
    [ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || rm -f "$STORE/loading"
    if [ -n "$(contents)" ] && [ "$(cat "$STORE/loading" 2>/dev/null)" != "$DATA" ]; then
        [ "$(cat "$STORE/loaded" 2>/dev/null)" != "$ID" ] || skip reason=already-loaded "dump=$ID"
        refuse "the data directory $DATA is not empty: nothing was changed; empty it if the backup is to replace what is there"
    fi
    begin_restore # reads the whole backup, so not before
    undo
    say "putting the backup of $(manifest "$DUMP" began) into $DATA"
    error=$(mkdir -p "$DATA" 2>&1) || fail 1 "cannot make $DATA: $(brief "$error")"
    OWNER=$(stat -c %u "$DATA")
    rm -f "$STORE/loaded"
    echo "$DATA" >"$STORE/loading" || fail 1 "cannot write to $STORE"
    error=$(within cp -a "$DUMP/data/." "$DATA" 2>&1) || {
        [ "$(left)" = 0 ] || fail 1 "copying the backup into $DATA: $(brief "$error")"
        gave_up "copying the backup into $DATA" "$error"
    }
}

# Now the files are complete. Those of root are for the server's user, as whom not every image starts it.
settle() {
    if [ "$(id -u)" = 0 ]; then
        [ "$OWNER" != 0 ] || OWNER=$(id -u mysql 2>/dev/null) || OWNER=0
        error=$(chown -R "$OWNER" "$DATA" 2>&1) || fail 1 "cannot give $DATA to user $OWNER: $(brief "$error")"
    fi
    sync
    echo "$ID" >"$STORE/loaded" || fail 1 "cannot write to $STORE"
    rm -f "$STORE/loading"
    ok "dump=$ID" "bytes=$(manifest "$DUMP" bytes)" "server=$(manifest "$DUMP" server)"
}
