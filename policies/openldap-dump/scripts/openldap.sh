# shellcheck shell=sh disable=SC2034
# Where slapd's configuration is, and which databases it describes. Parameter: QUIESCENT_CONFIG.

# Bitnami's tools are not always on the PATH of an exec, and sbin rarely is on a user's.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/opt/bitnami/openldap/sbin
export PATH

# What comes after -F or -f on the command line of each slapd that runs, one a line.
of_running() {
    for process in /proc/[0-9]*; do
        case $(cat "$process/comm" 2>/dev/null) in
        slapd) ;;
        *) continue ;;
        esac
        tr '\0' '\n' <"$process/cmdline" 2>/dev/null |
            sed -n -e '/^-[Ff]$/{n;p;q;}' -e '/^-[Ff]./{s/^-[Ff]//;p;q;}'
    done
}

CONFIG=${QUIESCENT_CONFIG:-$(of_running | head -n 1)}
if [ -z "$CONFIG" ]; then
    for CONFIG in "${LDAP_ONLINE_CONF_DIR:-/bitnami/openldap/slapd.d}" /etc/ldap/slapd.d /etc/openldap/slapd.d \
        /etc/ldap/slapd.conf /etc/openldap/slapd.conf ''; do
        [ -z "$CONFIG" ] || [ ! -e "$CONFIG" ] || break
    done
fi

# How the tools are told, -F for a folder and -f for a file.
OPTION=-F
[ ! -f "$CONFIG" ] || OPTION=-f

# The databases with data of their own, one a line: number, role (provider or consumer), directory. The
# first is for cn=config as LDIF, unfolded; the second for a slapd.conf, without what it includes.
databases() {
    number=''
    while IFS= read -r line; do
        case $line in
        'dn:'*)
            described
            number='' type='' consumer='' multi='' directory=''
            ;;
        'olcDatabase: {'*)
            type=${line#*\}}
            number=${line#*\{}
            number=${number%%\}*}
            ;;
        'olcDbDirectory: '*) directory=${line#*: } ;;
        'olcSyncrepl:'*) consumer=yes ;;
        'olcMultiProvider: TRUE' | 'olcMirrorMode: TRUE') multi=yes ;;
        esac
    done <"$1"
    described
}
databases_of_file() {
    number='' last=0
    while read -r word value; do
        value=${value#\"}
        value=${value%\"}
        case $word in
        [Dd]atabase)
            described
            type=$value number='' consumer='' multi='' directory=''
            case $type in
            config | frontend) continue ;;
            esac
            last=$((last + 1))
            number=$last
            ;;
        [Dd]irectory) directory=$value ;;
        [Ss]yncrepl) consumer=yes ;;
        [Mm]irror[Mm]ode | [Mm]ulti[Pp]rovider)
            case $value in
            [Oo][Nn] | [Tt][Rr][Uu][Ee] | [Yy][Ee][Ss]) multi=yes ;;
            esac
            ;;
        esac
    done <"$1"
    described
}
described() {
    [ -n "$number" ] || return 0
    role=provider
    # One of several that all take writes is a consumer too.
    [ -z "$consumer" ] || [ -n "$multi" ] || role=consumer
    case $type in
    mdb | hdb | bdb | wt | ldif) echo "$number $role $directory" ;;
    esac
}
