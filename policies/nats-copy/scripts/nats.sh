# shellcheck shell=sh disable=SC2034
# What a NATS server says of itself at its port for monitoring. Parameter: QUIESCENT_PORT.

PORT=${QUIESCENT_PORT:-8222}

# The answer to a path, as HTTP.
get() { talk "$PORT" "GET $1 HTTP/1.0\r\nHost: localhost\r\n\r\n"; }
# One value of the answer's JSON, of the first field of that name.
value() { printf '%s\n' "$answer" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

# Waits for the server, at most so many seconds; sets VERSION, and the numbers of STREAMS and MESSAGES,
# which are empty where there is no JetStream.
connect() {
    patience=$(($(date +%s) + $1))
    while :; do
        answer=$(get /healthz)
        case $answer in
        'HTTP/1.'*' 200 '*) break ;;
        'HTTP/1.'*) why="the server says that it is not well" ;;
        *) why="the server does not answer on 127.0.0.1:$PORT, its port for monitoring: set http_port, or correct the parameter port" ;;
        esac
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then
            fail 1 "$why: $(brief "$(printf '%s\n' "$answer" | tail -n 1)")"
        fi
        sleep 1
    done
    answer=$(get /varz)
    VERSION=$(value version)
    answer=$(get /jsz)
    case $answer in
    'HTTP/1.'*' 200 '*) ;;
    *) fail 1 "the server does not say what its JetStream holds: look at its log: $(brief "$(printf '%s\n' "$answer" | tail -n 1)")" ;;
    esac
    STREAMS=$(value streams)
    MESSAGES=$(value messages)
    [ "$(value disabled)" != true ] || STREAMS=''
}
