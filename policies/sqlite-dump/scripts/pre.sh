#!/bin/sh
# Copies each SQLite file as of one moment (VACUUM INTO), checks the copy, and only then replaces the
# last ones. With a write-ahead log nobody waits; with a rollback journal writers wait for the copy.
# Consistent per file, not across them.
# Parameters: QUIESCENT_FILES (absolute paths, with : between them), QUIESCENT_LOCK_WAIT.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

[ -n "${QUIESCENT_FILES:-}" ] ||
    fail 2 'no file is named: set the annotation quiescent.dev/sqlite-dump.files of the pod to the paths of its database files'
begin_dump
# shellcheck source=/dev/null
. "${0%/*}/sqlite.sh"
WAIT=$(seconds "${QUIESCENT_LOCK_WAIT:-1m}") ||
    fail 2 "the parameter lockWait is \"$QUIESCENT_LOCK_WAIT\": write a duration such as 1m"
check_space

# Ends the hook for a statement that failed on the file.
refused() {
    case $2 in
    *'is locked'* | *'is busy'*) fail 1 "$file was locked by a writer for longer than $WAIT s: end what holds it, or raise the parameter lockWait" ;;
    *'not a database'* | *encrypted*) fail 2 "$file is no SQLite file, or an encrypted one, which this hook cannot read" ;;
    *'near "INTO"'*) fail 2 "the SQLite of this container is older than 3.27 and cannot copy a file that is in use: use a newer image" ;;
    *readonly*) fail 2 "user $(id -u) cannot write to $file or beside it, which SQLite wants of readers too when there is a write-ahead log: run the container as the application's user" ;;
    *malformed*) fail 1 "$file itself is damaged: restore it from a backup before this one: $(brief "$2")" ;;
    esac
    gave_up "$1" "$2"
}

files=0
rest=$QUIESCENT_FILES:
while [ -n "$rest" ]; do
    file=${rest%%:*}
    rest=${rest#*:}
    case $file in
    '') continue ;;
    /*) ;;
    *) fail 2 "\"$file\" is no absolute path: correct the parameter files" ;;
    esac
    # SQLite would make an empty database of a name that is not there.
    [ -f "$file" ] || fail 2 "there is no file $file: correct the parameter files, or wait until the application has made it"
    [ -r "$file" ] || fail 2 "user $(id -u) cannot read $file: run the container as a user who can"
    files=$((files + 1))
    copy=$NEW/$files.db

    mode=$(sqlite "$file" 'pragma journal_mode' 2>&1) || refused "reading $file" "$mode"
    error=$(sqlite "$file" "vacuum into '$copy'" 2>&1) || refused "copying $file" "$error"
    checked=$(sqlite "$copy" 'pragma integrity_check' 2>&1) || refused "checking the copy of $file" "$checked"
    [ "$checked" = ok ] || fail 1 "the copy of $file is damaged, most likely as the file itself is: $(brief "$checked")"
    # The copy begins its life with a rollback journal, whatever the file has.
    [ "$mode" != wal ] || error=$(sqlite "$copy" 'pragma journal_mode = wal' 2>&1) || gave_up "checking the copy of $file" "$error"
    error=$(printf '%s\n' "$file" 2>&1 >"$NEW/$files.path") || gave_up "copying $file" "$error"
    # Whose it is, and who may read it.
    error=$(stat -c '%u:%g %a' "$file" 2>&1 >"$NEW/$files.owner") || gave_up "asking whose $file is" "$error"
done
[ "$files" -gt 0 ] || fail 2 "the parameter files is \"$QUIESCENT_FILES\", which names no file"
version=$(sqlite "$copy" 'select sqlite_version()' 2>&1) || gave_up 'asking for the version of SQLite' "$version"

publish "server=$version" "files=$files"
ok "files=$files" "bytes=$BYTES" "server=$version"
