# shellcheck shell=sh disable=SC2034
# HTTP calls with whatever client the image has: curl, python3, GNU wget, or busybox wget. What is
# secret stands in the container's own variable or file, and goes by stdin, environment or a file of
# ours, never in an argv. Redirects are answers like others. Parameters: those of policy.yaml.
WHY=
STATUS=
CODE=1
URL=${QUIESCENT_URL:-}
AFTER=${QUIESCENT_AFTER_URL:-}
CA=${QUIESCENT_CA_FILE:-}
[ -n "$URL" ] || fail 2 'the parameter url is empty: name what is to be called before the backup'
for one in "$URL" "$AFTER"; do
    case $one in
    *[[:space:]\"\\]*) fail 2 'a URL has no blanks, quotes or backslashes: write them as %20, %22, %5C' ;;
    http://*@* | https://*@*) fail 2 'there is a user, or a password, in the URL, and Velero logs it: put it into the variable that the parameter headerEnv names' ;;
    '' | http://?* | https://?*) ;;
    *) fail 2 "\"$one\" is no URL: write http:// or https:// before it" ;;
    esac
done
PATIENCE=$(seconds "${QUIESCENT_WAIT:-30s}") || fail 2 "the parameter wait is \"$QUIESCENT_WAIT\": write a duration such as 30s"
[ -z "$CA" ] || [ -r "$CA" ] || fail 2 "cannot read $CA: correct the parameter caFile"

# This container, and its pod, are not behind a proxy.
NO_PROXY=${NO_PROXY:+$NO_PROXY,}localhost,127.0.0.1,::1
no_proxy=$NO_PROXY
export NO_PROXY no_proxy

HEADERS=
if [ -n "${QUIESCENT_HEADER_ENV:-}" ]; then
    pick "$QUIESCENT_HEADER_ENV" || fail 2 "the variable $QUIESCENT_HEADER_ENV is empty: correct the parameter headerEnv"
    HEADERS=$(printf '%s\n' "$PICKED" | tr -d '\r' | sed '/^$/d')
    case $(printf '%s\n' "$HEADERS" | sed '/^[A-Za-z0-9_-][A-Za-z0-9_-]*: ./d') in
    '') ;;
    *) fail 2 "the variable $QUIESCENT_HEADER_ENV has a line that is no header: write Name: value, each in a line of its own" ;;
    esac
fi

# The best client that there is, and can do what is asked.
client() {
    for CLIENT in curl python3 wget; do
        command -v $CLIENT >/dev/null || continue
        [ $CLIENT != wget ] || case $(wget --version 2>&1) in
        'GNU Wget'*) ;;
        *)
            CLIENT=busybox
            [ -z "$HEADERS" ] || fail 2 "the only client in this container, busybox's wget, shows headers in the list of processes: use an image with curl, python3 or GNU wget"
            [ -z "$CA" ] || fail 2 "the only client in this container, busybox's wget, knows no caFile: use an image with curl, python3 or GNU wget"
            case ${QUIESCENT_METHOD:-POST},${QUIESCENT_AFTER_METHOD:-POST} in
            GET,GET | GET,POST | POST,GET | POST,POST) ;;
            *) fail 2 "the only client in this container, busybox's wget, knows no other methods than GET and POST: use an image with curl, python3 or GNU wget" ;;
            esac
            ;;
        esac
        return
    done
    fail 2 'this container has no client for HTTP, none of curl, python3, wget: use an image that brings one'
}

# A text between the quotes of curl's configuration.
quoted() { printf '%s' "$1" | sed -e ':a' -e '$!{N;ba' -e '}' -e 's/[\\"]/\\&/g' -e 's/\n/\\n/g'; }

PYTHON='
import os, sys, urllib.request, urllib.error, ssl
url, method, data, patience = sys.argv[1:5]
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
trust = ssl.create_default_context(cafile=os.environ.get("QUIESCENT_CA_FILE") or None)
call = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=trust))
request = urllib.request.Request(url, data=data.encode() if data else None, method=method)
for line in os.environ.get("HEADERS", "").splitlines():
    name, value = line.split(": ", 1)
    request.add_header(name, value)
try:
    answer = call.open(request, timeout=float(patience))
except urllib.error.HTTPError as error:
    answer = error
except Exception as error:
    sys.exit(str(error))
with open(os.environ["BODY"], "wb") as body:
    body.write(answer.read(1 << 20))
print(answer.status)
'

# In SECONDS, calls METHOD URL DATA; prints the status, and leaves the answer in $STORE/body. Fails without one.
request() (
    BEGAN=$(date +%s)
    LIMIT=$1
    method=$2 url=$3 data=$4
    case $CLIENT in
    curl)
        {
            echo silent
            echo show-error
            echo globoff
            printf 'max-filesize = 1048576\nmax-time = "%s"\n' "$LIMIT"
            printf 'url = "%s"\nrequest = "%s"\noutput = "%s"\n' "$url" "$(quoted "$method")" "$STORE/body"
            printf 'write-out = "%%{http_code}"\n'
            [ -z "$data" ] || printf 'data-raw = "%s"\n' "$(quoted "$data")"
            [ -z "$CA" ] || printf 'cacert = "%s"\n' "$(quoted "$CA")"
            printf '%s\n' "$HEADERS" | while read -r header; do
                [ -z "$header" ] || printf 'header = "%s"\n' "$(quoted "$header")"
            done
        } | within curl -q -K - 2>&1
        ;;
    python3)
        BODY=$STORE/body
        export HEADERS BODY
        within python3 -c "$PYTHON" "$url" "$method" "$data" "$LIMIT" 2>&1 </dev/null
        ;;
    wget)
        printf '%s\n' "$HEADERS" | sed '/./s/^/header = /' >"$STORE/wgetrc" || exit 1
        set -- "$url"
        [ -z "$data" ] || set -- "--body-data=$data" "$@"
        [ -z "$CA" ] || set -- "--ca-certificate=$CA" "$@"
        said=$(within wget --config="$STORE/wgetrc" --no-hsts --no-verbose --server-response --content-on-error \
            --max-redirect=0 --tries=1 --method="$method" --output-document="$STORE/body" "$@" 2>&1 </dev/null)
        rm -f "$STORE/wgetrc"
        status_of "$said"
        ;;
    busybox)
        set -- "$url"
        [ "$method" = GET ] || set -- --post-data "$data" "$@"
        said=$(within wget -S -O "$STORE/body" "$@" 2>&1 </dev/null)
        status_of "$said"
        ;;
    esac
)

# The last status in what a wget says, or all of it.
status_of() {
    status=$(printf '%s\n' "$1" | sed -n 's|.*HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' | tail -n 1)
    [ -n "$status" ] || {
        printf '%s\n' "$1"
        return 1
    }
    echo "$status"
}

# Calls METHOD URL DATA, and holds what comes against the STATUSES and the TEXT that are wanted. WHY
# says what is wrong, CODE whether it was the time.
call() {
    rm -f "$STORE/body"
    here=$2
    began=$(date +%s)
    time=$(left)
    [ "$time" -lt "$PATIENCE" ] || time=$PATIENCE
    if [ "$time" -eq 0 ] || ! STATUS=$(request "$time" "$1" "$2" "$3"); then
        WHY="$here gives no answer, to $CLIENT: $(brief "${STATUS%000}")"
        [ $(($(date +%s) - began)) -lt "$time" ] || {
            CODE=4
            WHY="$here gives no answer within $time s: look at the application, or raise the parameter wait"
        }
        return 1
    fi
    text=
    [ ! -f "$STORE/body" ] || text=$(tr -d '\000' <"$STORE/body")
    rm -f "$STORE/body"
    good=
    for wanted in $(printf '%s' "$4" | tr ',' ' '); do
        case $STATUS in
        ${wanted%xx}?? | "$wanted") [ "${#wanted}" != 3 ] || good=yes ;;
        esac
    done
    [ -n "$good" ] || {
        WHY="$here answers with status $STATUS, not $4: $(brief "$text" | cut -c 1-200)"
        return 1
    }
    case $text in
    *"$5"*) ;;
    *)
        WHY="the answer of $here, status $STATUS, has no \"$5\" in it: $(brief "$text" | cut -c 1-200)"
        return 1
        ;;
    esac
}

# The notes say that the first call was made.
let_go() {
    [ -f "$STORE/notes" ] || return 0
    call "${QUIESCENT_AFTER_METHOD:-POST}" "$AFTER" "${QUIESCENT_AFTER_DATA:-}" \
        "${QUIESCENT_AFTER_STATUS:-2xx}" "${QUIESCENT_AFTER_BODY:-}"
}
