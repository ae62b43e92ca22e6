# shellcheck shell=sh
# A few words with a server of this container over TCP, with what the image has: nc, or bash itself.

command -v nc >/dev/null || command -v bash >/dev/null ||
    fail 2 'this container has neither nc nor bash to ask the server with: use an image that brings one'

# Sends TEXT (with printf's escapes) to PORT and prints what comes until the server hangs up. At most 5 s:
# a server that was stopped takes a connection and says nothing.
talk() (
    soon=$(($(date +%s) - BEGAN + 5))
    [ "$LIMIT" -lt "$soon" ] || LIMIT=$soon
    if command -v nc >/dev/null; then
        # shellcheck disable=SC2059 # the escapes are wanted
        printf "$2" | within nc 127.0.0.1 "$1" 2>&1
    else
        # shellcheck disable=SC2016 # for bash
        within bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "$1" >&3 && cat <&3' "$1" "$2" 2>&1 </dev/null
    fi
)

# Whether two paths are on one volume; what df does not know is taken for it.
on_one_volume() {
    volume() { df -P "$1" 2>/dev/null | sed -n '$s/.* //p'; }
    there=$(volume "$2/")
    here=$(volume "$1/")
    [ "$here" = "${there:-$here}" ]
}
