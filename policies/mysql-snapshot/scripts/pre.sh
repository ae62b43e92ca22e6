#!/bin/sh
# Makes sure that a snapshot of the data volume taken now is worth having: the server is well, it can
# recover from such a snapshot as from a power cut, all of its files lie on one volume, and what it has
# acknowledged is on disk. Holds nothing.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/mysql.sh"

need df
connect 5
use_dump() { fail 2 "$*: set the label quiescent.dev/method=dump"; }

# What lives in memory alone is lost in any crash, and nobody expects it back.
look_for_others "'InnoDB', 'MEMORY', 'BLACKHOLE'"
[ -z "$OTHERS" ] || use_dump "there are tables that are not InnoDB, which a snapshot may break: $OTHERS"

answer=$(sql "show global variables where variable_name in ('datadir', 'innodb_data_home_dir',
    'innodb_log_group_home_dir', 'innodb_undo_directory', 'innodb_doublewrite_dir', 'log_bin_basename',
    'relay_log_basename', 'aria_log_dir_path', 'innodb_data_file_path', 'innodb_doublewrite',
    'innodb_force_recovery', 'innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog')" 2>&1) || gave_up 'asking for the settings' "$answer"
setting() { printf '%s\n' "$answer" | sed -n "s/^$1	//p"; }
[ "$(setting innodb_force_recovery)" = 0 ] ||
    fail 1 "the server runs with innodb_force_recovery=$(setting innodb_force_recovery), its data are damaged: repair it"
case $(setting innodb_doublewrite) in
OFF | DETECT_ONLY) use_dump 'innodb_doublewrite is off, so a page that is half written in the snapshot could not be repaired' ;;
esac

# Velero takes the volumes of a pod one after another, and these files are only good of one moment.
data=$(setting datadir)
data=${data%/}
# A group of volumes is cut in one moment, as one volume is.
volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p' | sed "${QUIESCENT_GROUP:+s/.*/group/}"; }
home=$(volume "$data/.")
[ -n "$home" ] || fail 2 "user $(id -u) cannot look into $data: run the container as the user of the server"
check() {
    case $1 in
    /*) file=$1 ;;
    *) file=$data/$1 ;;
    esac
    there=$(volume "$file")
    [ -n "$there" ] || fail 2 "user $(id -u) cannot look at $file: run the container as the user of the server"
    [ "$there" = "$home" ] ||
        use_dump "$file lies on another volume than $data, and a snapshot of two volumes is not of one moment"
}
for name in innodb_data_home_dir innodb_log_group_home_dir innodb_undo_directory innodb_doublewrite_dir aria_log_dir_path; do
    place=$(setting $name)
    [ -z "$place" ] || check "$place/."
done
for name in log_bin_basename relay_log_basename; do
    place=$(setting $name)
    [ -z "$place" ] || check "${place%/*}/."
done
for file in $(setting innodb_data_file_path | tr ';' ' '); do
    case $file in
    /*) check "${file%%:*}" ;;
    esac
done
for entry in "$data"/*; do
    [ ! -L "$entry" ] || check "$entry"
done
# Tables in a DATA DIRECTORY of their own: MariaDB keeps a file that says where, MySQL knows it itself.
for link in "$data"/*/*.isl; do
    [ ! -f "$link" ] || check "$(cat "$link")"
done
case $VERSION in
*MariaDB*) outside= ;;
*) outside=$(sql "select file_name from information_schema.files where file_name not like './%'" 2>&1) ||
    gave_up 'asking where the tablespaces are' "$outside" ;;
esac
[ -z "$outside" ] || while read -r file; do
    check "$file"
done <<FILES
$outside
FILES

# What these settings leave to the next second, or to the system, goes to disk now, so that nothing is
# missing that was acknowledged before.
engine=$(setting innodb_flush_log_at_trx_commit)
if [ "$engine" != 1 ]; then
    error=$(sql 'flush local engine logs' 2>&1) || gave_up 'bringing the log to disk' "$error"
fi
[ "$engine,$(setting log_bin),$(setting sync_binlog)" = 1,ON,1 ] || [ "$engine,$(setting log_bin)" = 1,OFF ] || sync

ask_role
ok "role=$ROLE" "server=$VERSION"
