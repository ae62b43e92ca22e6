#!/bin/sh
# Saves a snapshot of the integrated storage on the active member, looks whether it is whole, and only
# then replaces the last one. Standby members are skipped: what they are asked they cannot answer.
# Parameters: QUIESCENT_ADDRESS, QUIESCENT_TOKEN_ENV.
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

address=${QUIESCENT_ADDRESS:-${VAULT_ADDR:-${BAO_ADDR:-http://127.0.0.1:8200}}}
case $address in
http://?* | https://?*) ;;
*) fail 2 "the parameter address is \"$address\": write http:// or https://, host and port" ;;
esac
pick "${QUIESCENT_TOKEN_ENV:-VAULT_TOKEN}" ||
    fail 2 "there is no token: give the container the variable ${QUIESCENT_TOKEN_ENV:-VAULT_TOKEN} (or, with _FILE, a file), of a token that may read sys/storage/raft/snapshot"
VAULT_ADDR=$address BAO_ADDR=$address VAULT_TOKEN=$PICKED BAO_TOKEN=$PICKED
export VAULT_ADDR BAO_ADDR VAULT_TOKEN BAO_TOKEN
CLI=$(first_of vault bao) || exit 2
need tar

begin_dump
status=$(within "$CLI" status 2>&1 </dev/null)
field() { printf '%s\n' "$status" | sed -n "s/^$1  *//p"; }
case $(field Sealed) in
false) ;;
true) fail 1 'this member is sealed, and cannot answer: unseal it' ;;
*) gave_up "asking the server at $address for its state" "$status" ;;
esac
storage=$(field 'Storage Type')
[ "${storage:-raft}" = raft ] ||
    fail 2 "this server stores its data in \"$storage\", not in raft: back that storage up, and take this policy away from it"
[ "$(field 'HA Mode')" != standby ] || skip_dump 'this member is a standby, the active one saves' role=standby
check_space

error=$(within "$CLI" operator raft snapshot save "$NEW/raft.snap" 2>&1 </dev/null) || case $error in
*'permission denied'*) fail 2 "the token may not read sys/storage/raft/snapshot: give it a policy that says so: $(brief "$error")" ;;
*) gave_up 'the snapshot' "$error" ;;
esac
# An archive whose last file is the seal over the checksums of the others.
files=$(within tar -tzf "$NEW/raft.snap" 2>&1) || gave_up 'reading the snapshot' "$files"
case $files in
*SHA256SUMS.sealed*) ;;
*) gave_up 'the snapshot' "it is not whole, SHA256SUMS.sealed is not in it: $files" ;;
esac

version=$(field Version)
publish "server=$version" role=active
ok role=active "bytes=$BYTES" "server=$version"
