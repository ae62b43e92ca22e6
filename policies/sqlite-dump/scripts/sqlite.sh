# shellcheck shell=sh disable=SC2034
# How the hooks run a statement on an SQLite file: by the shell of SQLite, or by Python, which brings
# the library along. Images of applications rarely have the first.

# What SQLite sorts goes to the dump volume: the root file system may be read-only.
SQLITE_TMPDIR=$STORE
export SQLITE_TMPDIR

if SHELL_OF_SQLITE=$(command -v sqlite3); then
    # Options before the name, and no file of settings that somebody may have in HOME.
    sqlite() { within "$SHELL_OF_SQLITE" -batch -bail -init /dev/null -cmd ".timeout ${WAIT}000" "$1" "$2" </dev/null; }
elif PYTHON=$(command -v python3 || command -v python) && "$PYTHON" -I -c 'import sqlite3' 2>/dev/null; then
    sqlite() { within "$PYTHON" -I -c "$PROGRAM" "$1" "$WAIT" "$2" </dev/null; }
else
    fail 2 "this container has neither sqlite3 nor a Python with its module sqlite3: add one of them to the image, or run one in a container beside it that mounts the same volume, and name that in the annotation quiescent.dev/container"
fi
PROGRAM='
import sqlite3, sys
name, wait, statement = sys.argv[1:]
try:
    for row in sqlite3.connect(name, timeout=float(wait), isolation_level=None).execute(statement):
        print("|".join(map(str, row)))
except sqlite3.Error as error:
    sys.exit("Error: %s" % error)
'
WAIT=5
