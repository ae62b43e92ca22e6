#!/bin/sh
# Copies the whole cluster (pg_basebackup: a tar archive per tablespace, and the WAL that belongs to
# them), checks the archives against the server's own manifest, and only then replaces the last copy.
# Nothing waits for it but its checkpoint's share of the disk. Standbys are skipped unless asked for.
# Parameters: QUIESCENT_COMPRESSION (gzip or none), QUIESCENT_STANDBY.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"
# shellcheck source=/dev/null
. "${0%/*}/postgresql.sh"

need psql pg_basebackup pg_verifybackup tar awk sha256sum
begin_dump
connect 5
choose_role

compression=${QUIESCENT_COMPRESSION:-gzip}
case $compression in
gzip)
    suffix=.gz
    set -- -Z1
    ;;
none)
    suffix=
    set --
    ;;
*) fail 2 "the parameter compression is \"$compression\": write gzip or none" ;;
esac

# Is there room? The last copy tells how far the files of this cluster shrink; before the first one a
# quarter is asked for, less than gzip mostly needs: a full volume costs a try, no good copy.
size=$(sql 'select (sum(pg_database_size(oid)) / 1024)::bigint from pg_database' 2>&1) || case $size in
*'permission denied'*)
    say "user \"$PGUSER\" may not ask how large the cluster is (GRANT pg_read_all_stats): only the last copy is considered"
    size=0
    check_space
    ;;
*) gave_up 'asking how large the cluster is' "$size" ;;
esac
needed=$((size + 32768)) # two segments of WAL
[ "$compression" = none ] || needed=$((size / 4))
last=$(manifest "$STORE/current" cluster)
if [ "${last:-0}" -gt 0 ] && [ "$(manifest "$STORE/current" compression)" = "$compression" ]; then
    then_copied=$(($(manifest "$STORE/current" bytes) / 1024))
    needed=$((size * then_copied / last))
fi
[ "$(free)" -ge "$needed" ] ||
    fail 1 "the dump volume /quiescent/dump has $(free) KiB free, some $needed KiB are needed for a copy of a cluster of $size KiB: raise its sizeLimit"

system=$(sql 'select system_identifier from pg_control_system()' 2>&1) || gave_up 'asking which cluster this is' "$system"

# What a killed run left behind goes on, and takes WAL senders: as many as there are, after a few runs.
while senders=$(sql "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where backend_type = 'walsender' and application_name = '$PGAPPNAME' and usename = current_user" 2>/dev/null) &&
    [ "${senders:-0}" -gt 0 ] && [ "$(left)" -gt 0 ]; do
    sleep 1
done

# A folder of this run alone: what a killed run left behind may still write into its own.
copy=$NEW/$$
error=$(within pg_basebackup -w -Ft "$@" -X stream --checkpoint=fast --no-sync --label=quiescent -D "$copy" 2>&1 </dev/null) ||
    case $error in
    *'no pg_hba.conf entry for replication'*) fail 2 "PostgreSQL lets user \"$PGUSER\" in, but not for replication: add the line \"host replication $PGUSER 127.0.0.1/32 scram-sha-256\" to pg_hba.conf, then select pg_reload_conf(): $(brief "$error")" ;;
    *'replication role'* | *'REPLICATION attribute'*) fail 2 "user \"$PGUSER\" may not copy the cluster: run ALTER ROLE \"$PGUSER\" REPLICATION as a superuser: $(brief "$error")" ;;
    *max_wal_senders* | *'too many clients'* | *'connection slots'*) fail 2 "PostgreSQL has no two WAL senders left for the copy: raise max_wal_senders (and wal_level to replica, where it is minimal): $(brief "$error")" ;;
    *) gave_up 'copying the cluster' "$error" ;;
    esac

# Until PostgreSQL 18 pg_verifybackup reads no archives. So each is read to its end, and the number of
# the files and their sizes must be what the manifest says; restore.sh looks at every checksum.
promise=$copy/backup_manifest
sum=$(sed '$d' "$promise" 2>/dev/null | sha256sum)
grep -q "\"Manifest-Checksum\": \"${sum%% *}\"" "$promise" || fail 1 'the manifest of the copy is damaged: run the hook again'
if pg_verifybackup --help | grep -q -- --format; then
    error=$(within pg_verifybackup --format=tar --no-parse-wal --quiet "$copy" 2>&1) || gave_up 'checking the copy' "$error"
fi
error=$(mkdir "$WORK" 2>&1) || gave_up 'checking the copy' "$error"
for archive in "$copy"/*.tar*; do
    error=$(within tar "-tv${suffix:+z}f" "$archive" 2>&1 >"$WORK/${archive##*/}") || gave_up "reading ${archive##*/}" "$error"
done
grep -q . "$WORK/pg_wal.tar$suffix" || fail 1 'the copy has no WAL: run the hook again'
rm "$WORK/pg_wal.tar$suffix"
total() { awk '{ files += 1; bytes += $1 } END { printf "%d files of %.0f bytes\n", files, bytes }'; }
promised=$(sed -n 's/.*"Size": \([0-9]*\),.*/\1/p' "$promise" | total)
found=$(cat "$WORK"/*.tar* | awk '/^-/ { print $3 }' | total)
[ "$promised" = "$found" ] || fail 1 "the copy has $found, its manifest says $promised: run the hook again"

position=$(sed -n 's/.*"End-LSN": "\([^"]*\)".*/\1/p' "$promise" | tail -n 1)
tablespaces=0
for archive in "$copy"/[0-9]*.tar*; do
    [ ! -f "$archive" ] || tablespaces=$((tablespaces + 1))
done
error=$(mv "$copy"/* "$NEW" 2>&1 && rmdir "$copy" 2>&1) || gave_up 'finishing the copy' "$error"
publish "server=$VERSION" "role=$ROLE" "position=$position" "tablespaces=$tablespaces" \
    "system=$system" "cluster=$size" "compression=$compression"
ok "role=$ROLE" "bytes=$BYTES" "server=$VERSION"
