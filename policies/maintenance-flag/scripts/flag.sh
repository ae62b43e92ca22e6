# shellcheck shell=sh disable=SC2034
# The flag: where it is, whose it is. Parameter: QUIESCENT_PATH.
# A flag of ours says so in its first line: a restore brings it back, with the volume it lies in.
WHY=
FLAG=${QUIESCENT_PATH:-}
case $FLAG in
/*[!/]) ;;
'') fail 2 'the parameter path is empty: name the file that the application looks for' ;;
*) fail 2 "the parameter path is \"$FLAG\": write a file's whole path, such as /data/maintenance" ;;
esac
MARK="made by the hook $POLICY of quiescent"

exists() { [ -e "$FLAG" ] || [ -L "$FLAG" ]; }

is_ours() {
    [ -f "$FLAG" ] && [ ! -L "$FLAG" ] && read -r line <"$FLAG" && case $line in
    "$MARK"*) ;;
    *) false ;;
    esac
}

# The notes say `made` for a flag of ours, `found` for one that was there before and stays.
let_go() {
    case $(tail -n 1 "$STORE/notes" 2>/dev/null) in
    found)
        exists || LOST="the flag $FLAG, which was there before, has been taken away"
        ;;
    made)
        if is_ours; then
            WHY=$(rm -f "$FLAG" 2>&1)
        elif exists; then
            LOST="somebody else has put a flag of their own at $FLAG, which stays"
        else
            LOST="the flag $FLAG has been taken away"
        fi
        ;;
    esac
}
