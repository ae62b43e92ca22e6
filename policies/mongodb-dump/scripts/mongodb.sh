# shellcheck shell=sh disable=SC2034
# How the hooks of MongoDB speak to the server of their own container. Passwords go by a pipe or a
# variable: a list of processes shows argv.
# Parameters: QUIESCENT_PORT, QUIESCENT_USER, QUIESCENT_PASSWORD_ENV, QUIESCENT_AUTH_DATABASE.

PATH=$PATH:/opt/bitnami/mongodb/bin
HOME=${HOME:-/tmp}
export PATH HOME
CLI=$(first_of mongosh mongo) || exit 2

pick MONGO_INITDB_ROOT_USERNAME MONGODB_ROOT_USER || :
LOGIN=$PICKED
if [ -n "${QUIESCENT_PASSWORD_ENV:-}" ]; then
    pick "$QUIESCENT_PASSWORD_ENV" || fail 2 "the variable $QUIESCENT_PASSWORD_ENV is empty: correct the parameter passwordEnv"
else
    pick MONGO_INITDB_ROOT_PASSWORD MONGODB_ROOT_PASSWORD || :
fi
PASSWORD=$PICKED
[ -z "$PASSWORD" ] || LOGIN=${QUIESCENT_USER:-${LOGIN:-root}}
[ -n "$PASSWORD" ] || LOGIN=
AUTH_DATABASE=${QUIESCENT_AUTH_DATABASE:-admin}
ADDRESS=127.0.0.1
PORT=${QUIESCENT_PORT:-${MONGODB_PORT_NUMBER:-27017}}

# Runs a line of JavaScript, which has `admin` and prints one line that begins with "quiescent|". The
# old shell knows no environment and ends well on errors; the new one throws them.
script() {
    line="try { db.getMongo().setSlaveOk() } catch (e) {}; var db_ = '$AUTH_DATABASE'; function run(c) { try { return admin.runCommand(c) } catch (e) { return {ok: 0, errmsg: e.message} } } $1"
    case $CLI in
    *mongosh)
        QUIESCENT_LOGIN=$LOGIN
        QUIESCENT_SECRET=$PASSWORD
        export QUIESCENT_LOGIN QUIESCENT_SECRET
        within "$CLI" --quiet --norc --host "$ADDRESS" --port "$PORT" --eval \
            "var admin = db.getSiblingDB('admin'), login = process.env.QUIESCENT_LOGIN, secret = process.env.QUIESCENT_SECRET; $line" 2>&1 </dev/null
        ;;
    *)
        printf '%s\n' "var admin = db.getSiblingDB('admin'), login = \"$(quoted "$LOGIN")\", secret = \"$(quoted "$PASSWORD")\"; $line" |
            within "$CLI" --quiet --norc --host "$ADDRESS" --port "$PORT" 2>&1
        ;;
    esac
}
quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }

# Sets ANSWER to what the line printed behind "quiescent|", else to all that was said.
answer() {
    said=$(script "$1")
    ANSWER=$(printf '%s\n' "$said" | sed -n 's/.*quiescent|//p' | tail -n 1)
    [ -z "$ANSWER" ] || return 0
    ANSWER=$said
    return 1
}
LOG_IN='var in_ = !login || h.arbiterOnly || db.getSiblingDB(db_).auth(login, secret);'
GREETING="var h = run({isMaster: 1}); $LOG_IN
    var l = h.arbiterOnly || h.isreplicaset ? {ok: 1} : run({listDatabases: 1}), w = h.lastWrite && h.lastWrite.opTime, p = '';
    try { p = (w.ts.t || w.ts.high) + ':' + (w.ts.i || w.ts.low) } catch (e) {};
    print(['quiescent', h.msg === 'isdbgrid' ? 'mongos' : h.configsvr ? 'config' : h.arbiterOnly ? 'arbiter' : h.isreplicaset ? 'uninitiated' :
        h.setName ? (h.ismaster ? 'primary' : h.secondary ? 'secondary' : 'starting') : 'standalone',
        in_ ? 'in' : 'out', run({buildInfo: 1}).version || '?', p, h.primary || '', l.ok ? '' : l.errmsg].join('|'))"
GREETING=$(printf '%s' "$GREETING" | tr '\n' ' ')

# Waits for the server, at most so many seconds; sets ROLE, VERSION, POSITION (of the oplog), PRIMARY
# (host:port). Who waits long waits for users and for the replica set too, which come after the server.
connect() {
    patience=$(($(date +%s) + $1))
    while :; do
        answer "$GREETING" || :
        case $ANSWER in
        starting\|* | uninitiated\|*) [ "$1" -gt 5 ] || break ;;
        *\|in\|*\|) break ;;
        esac
        up=
        if [ "$(date +%s)" -ge "$patience" ] || [ "$(left)" = 0 ]; then up=yes; fi
        case $ANSWER in
        uninitiated\|*) [ -z "$up" ] || break ;;
        *'|out|'* | *uthentic* | *uthoriz* | *'auth failed'*)
            if [ "$1" -le 5 ] || [ -n "$up" ]; then
                fail 2 "MongoDB does not let us in: name the container's variable with the password in the parameter passwordEnv, and the user in user: $(brief "$ANSWER")"
            fi
            ;;
        *) [ -z "$up" ] || fail 1 "MongoDB does not answer on $ADDRESS:$PORT: look at the log of the server: $(brief "$ANSWER")" ;;
        esac
        sleep 1
    done
    case $ANSWER in
    uninitiated\|*) fail 2 "the replica set of this server is not initiated: run rs.initiate(), then the hook again" ;;
    esac
    ROLE=${ANSWER%%|*}
    ANSWER=${ANSWER#*|*|}
    VERSION=${ANSWER%%|*}
    ANSWER=${ANSWER#*|}
    POSITION=${ANSWER%%|*}
    ANSWER=${ANSWER#*|}
    PRIMARY=${ANSWER%%|*}
}

# Runs one of the tools of the dump. They ask for a password on stdin when it is no terminal.
tool() {
    name=$1
    shift
    if [ -z "$LOGIN" ]; then
        within "$name" --host "$ADDRESS" --port "$PORT" "$@" 2>&1 </dev/null
    else
        printf '%s\n' "$PASSWORD" | within "$name" --host "$ADDRESS" --port "$PORT" \
            --username "$LOGIN" --authenticationDatabase "$AUTH_DATABASE" "$@" 2>&1
    fi
}
# What a tool says of a failure; the rest is its progress.
reason() { printf '%s\n' "$1" | grep -iE 'fail|error' | tail -n 2; }
