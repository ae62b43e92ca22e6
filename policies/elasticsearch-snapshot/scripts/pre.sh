#!/bin/sh
# Has the cluster take a snapshot into a repository of its own, and waits until it is whole. One that
# fails, or is not done in time, is deleted again. Searches and writes go on. One pod does it for all.
# Parameters: those of policy.yaml.
# shellcheck disable=SC2034 # LIMIT is the library's
# shellcheck source=/dev/null
. "${0%/*}/quiescent.sh"

read -r host </proc/sys/kernel/hostname
# shellcheck disable=SC2254 # a pattern
case $host in
${QUIESCENT_PODS:-*-0}) ;;
*)
    say "another pod takes the snapshot: this is $host, the parameter pods says ${QUIESCENT_PODS:-*-0}"
    skip reason=another-pod
    ;;
esac
repository=${QUIESCENT_REPOSITORY:-}
case $repository in
'') fail 2 'the parameter repository is empty: register a snapshot repository in the cluster and name it' ;;
*[!A-Za-z0-9._-]*) fail 2 "the parameter repository is \"$repository\": no repository is called so" ;;
esac
url=${QUIESCENT_URL:-http://127.0.0.1:9200}
url=${url%/}
case $url in
*[[:space:]\"\\]* | *@*) fail 2 'the parameter url is no plain URL: write http:// or https://, host and port, and nothing secret' ;;
http://?* | https://?*) ;;
*) fail 2 "the parameter url is \"$url\": write http:// or https://, host and port" ;;
esac
ca=${QUIESCENT_CA_FILE:-}
[ -z "$ca" ] || [ -r "$ca" ] || fail 2 "cannot read $ca: correct the parameter caFile"
need curl

user=${QUIESCENT_USER:-}
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
elif pick ELASTIC_PASSWORD ELASTICSEARCH_PASSWORD; then
    user=${user:-elastic}
else
    pick OPENSEARCH_INITIAL_ADMIN_PASSWORD OPENSEARCH_PASSWORD || :
    user=${user:-admin}
fi
password=$PICKED

# Calls METHOD PATH; prints the answer and, in a last line, the status. What is secret goes by stdin.
quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
request() {
    {
        printf 'silent\nshow-error\ngloboff\nnoproxy = "*"\nwrite-out = "\\n%%{http_code}"\n'
        printf 'request = "%s"\nurl = "%s%s"\n' "$1" "$url" "$2"
        [ -z "$ca" ] || printf 'cacert = "%s"\n' "$(quoted "$ca")"
        [ -z "$password" ] || printf 'user = "%s:%s"\n' "$(quoted "$user")" "$(quoted "$password")"
    } | within curl -q -K - 2>&1
}
# The same; ends the hook unless the status is one of 2xx.
asked() {
    answer=$(request "$2" "$3") || gave_up "$1" "$answer"
    case $(printf '%s' "$answer" | tail -n 1) in
    2??) ;;
    401 | 403) fail 2 "$1: the cluster does not let user \"$user\" do it: give it the privileges, or correct the parameters user and passwordEnv: $(brief "$answer")" ;;
    *) gave_up "$1" "$answer" ;;
    esac
}

asked "asking for the repository $repository" GET "/_snapshot/$repository"
name=quiescent-$(date -u +%Y%m%d-%H%M%S)-$$
made=
undo() {
    [ -n "$made" ] || return
    LIMIT=$(($(date +%s) - BEGAN + 4)) # also when time is up
    case $(request DELETE "/_snapshot/$repository/$name" | tail -n 1) in
    2?? | 404) ;;
    *) say "the snapshot $name could not be deleted: delete it by hand" ;;
    esac
}
made=yes
asked "the snapshot $name" PUT "/_snapshot/$repository/$name?wait_for_completion=true"
case $answer in
*'"state":"SUCCESS"'*) ;;
*) gave_up "the snapshot $name" "it is not whole: $answer" ;;
esac
made=
ok "snapshot=$name" "repository=$repository"
