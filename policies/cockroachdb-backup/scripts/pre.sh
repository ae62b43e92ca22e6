#!/bin/sh
# Has the cluster write a full backup of itself, and checks that all of its files are there. One pod does
# it for all. Reads and writes go on. The backup is of the moment at which it begins.
# Parameters: those of policy.yaml.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

read -r host </proc/sys/kernel/hostname
# shellcheck disable=SC2254 # a pattern
case $host in
${QUIESCENT_PODS:-*-0}) ;;
*)
    say "another pod runs the backup: this is $host, the parameter pods says ${QUIESCENT_PODS:-*-0}"
    skip reason=another-pod
    ;;
esac
destination=${QUIESCENT_DESTINATION:-}
case $destination in
'') fail 2 'the parameter destination is empty: create an external connection in the cluster and name it, such as external://backups' ;;
*\?* | *@*) fail 2 'there are parameters, or a user, in the destination, and Velero logs it: create an external connection in the cluster, and name that' ;;
*[[:space:]\'\"\\\;]*) fail 2 'the parameter destination is no plain URI: write external:// and the name of an external connection' ;;
*://?*) ;;
*) fail 2 "the parameter destination is \"$destination\": write a URI such as external://backups" ;;
esac
[ -z "${QUIESCENT_USER:-}" ] || COCKROACH_USER=$QUIESCENT_USER
[ -z "${QUIESCENT_CERTS_DIR:-}" ] || COCKROACH_CERTS_DIR=$QUIESCENT_CERTS_DIR
[ -z "${COCKROACH_CERTS_DIR:-}" ] || [ -d "$COCKROACH_CERTS_DIR" ] ||
    fail 2 "there is no folder $COCKROACH_CERTS_DIR: correct the parameter certsDir"
[ "${QUIESCENT_INSECURE:-false}" != true ] || COCKROACH_INSECURE=true
[ -z "${COCKROACH_USER:-}" ] || export COCKROACH_USER
[ -z "${COCKROACH_CERTS_DIR:-}" ] || export COCKROACH_CERTS_DIR
[ -z "${COCKROACH_INSECURE:-}" ] || export COCKROACH_INSECURE

PATH=$PATH:/cockroach
export PATH
need cockroach

# A statement on stdin: nothing of it is seen in a list of processes.
sql() { printf '%s;\n' "$1" | within cockroach sql --format=tsv --set=errexit=true 2>&1; }

version=$(sql 'SELECT version()') || case $version in
*'authentication'* | *'certificate'* | *'password'*) fail 2 "the cluster does not let us in: correct the parameters user and certsDir: $(brief "$version")" ;;
*) gave_up 'asking the node for its version' "$version" ;;
esac
version=$(printf '%s\n' "$version" | sed -n 's/.* \(v[0-9][0-9.]*\) .*/\1/p' | head -n 1)
answer=$(sql "BACKUP INTO '$destination'") || gave_up 'the backup' "$answer"
case $answer in
*succeeded*) ;;
*) gave_up 'the backup' "its job did not say that it succeeded: $answer" ;;
esac
answer=$(sql "SHOW BACKUP FROM LATEST IN '$destination' WITH check_files") || gave_up 'checking the files of the backup' "$answer"
ok "destination=$destination" "server=$version"
