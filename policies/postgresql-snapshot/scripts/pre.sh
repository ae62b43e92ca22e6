#!/bin/sh
# Makes sure that a snapshot of the data volume taken now is worth having: the server is well, all of
# its files lie on one volume, and a checkpoint keeps the recovery after a restore short. Holds
# nothing: PostgreSQL recovers from a snapshot of one moment as from a power cut.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/postgresql.sh"

need psql df
connect 5

# Velero takes the volumes of a pod one after another, and PostgreSQL does not survive that.
data=$(sql 'show data_directory' 2>&1) || gave_up 'asking where the data are' "$data"
links=$(sql "select pg_tablespace_location(oid) from pg_tablespace where pg_tablespace_location(oid) <> ''" 2>&1) ||
    gave_up 'asking where the tablespaces are' "$links"
# A group of volumes is cut in one moment, as one volume is.
volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p' | sed "${QUIESCENT_GROUP:+s/.*/group/}"; }
home=$(volume "$data/")
together() {
    there=$(volume "$1/.")
    [ -n "$there" ] || say "user $(id -u) may not look into $1: whether it lies on the same volume as $data is not known"
    [ "${there:-$home}" = "$home" ] ||
        fail 2 "$1 lies on another volume than $data: a snapshot of two volumes is not of one moment; set the label quiescent.dev/method=dump"
}
together "$data/pg_wal"
[ -z "$links" ] || while read -r link; do
    together "$link"
done <<LINKS
$links
LINKS

error=$(sql checkpoint 2>&1) || case $error in
*'must be '* | *'permission denied'*) say "user \"$PGUSER\" may not run CHECKPOINT: recovery after a restore takes longer" ;;
*) gave_up 'the checkpoint' "$error" ;;
esac
role=primary
[ "$STANDBY" = f ] || role=standby
ok "role=$role" "server=$VERSION"
