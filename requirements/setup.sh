#!/bin/sh
# Makes .venv what lock.txt and embedded.txt say, or completes it; no work where the stamp, written last, is newer.
# PYTHON names the Python that makes it.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$(pwd -P)
stamp=.venv/.complete log=.venv/setup.log

made() { # in this place (its scripts carry the path), of a Python that is still there
    [ -x .venv/bin/python ] && grep -qF " $here/.venv" .venv/pyvenv.cfg 2>/dev/null
}

complete() {
    made && [ -e $stamp ] &&
        [ -z "$(find requirements/lock.txt requirements/embedded.txt pyproject.toml -newer $stamp)" ]
}

fail() {
    echo "make: $*" >&2
    exit 1
}

find_python() { # into $python: the first Python >= 3.11 that really starts and can make an environment
    without_venv=
    set -- "${PYTHON:-}"
    [ -n "$1" ] || set -- python3 python3.11 python3.12 python3.13 python3.14 python /usr/bin/python3
    for python; do
        # A version manager's shim may be in PATH and fail: only running it tells.
        "$python" -c '
import sys
if sys.version_info < (3, 11):
    sys.exit(3)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(4)' 2>/dev/null && return
        [ $? -eq 4 ] && without_venv=${without_venv:-$python}
    done
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$without_venv is Python $version without its venv module: install it (Debian: apt-get install python$version-venv) and run make again."
    fi
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python 3.11 or newer that starts: name another one or leave PYTHON out."
    fail "no Python 3.11 or newer was found in PATH: install one, or name it with make PYTHON=/path/to/python3."
}

install() { # what pip says goes into the log; a line now and then shows that it lives
    {
        .venv/bin/python -m pip install --disable-pip-version-check --no-compile "$@" 2>&1 || echo pip-failed
    } | tee -a $log | {
        n=0
        while read -r word rest; do
            case $word in
            Collecting) n=$((n + 1)) && [ $((n % 25)) -eq 0 ] && echo "  $n packages looked up" ;;
            Downloading) case $rest in *[0-9][0-9][0-9].[0-9]" MB)"*) echo "  downloading $rest" ;; esac ;;
            Installing) [ $n -ge 25 ] && echo "  unpacking" ;;
            pip-failed) exit 1 ;;
            esac
        done
        true
    } && return
    tail -n 20 $log | grep -v '^pip-failed$' >&2
    fail "pip could not finish, see above; make again goes on from here."
}

complete && exit 0
find_python
# Two make at once wait for each other. The lock belongs to the open file, which this shell and pip keep open.
exec 9>>requirements/lock.txt
"$python" -c '
import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("make: waiting for another make in this directory", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)' || exit 1
complete && exit 0

# pip writes INSTALLER after a package's files: without it a killed pip left half a package, which pip takes for whole.
if made && [ -e .venv/lib/python3*/site-packages/pip-*.dist-info/INSTALLER ]; then
    echo "make: completing .venv (log in $log)"
    for package in .venv/lib/python3*/site-packages/*.dist-info; do
        [ -e "$package/INSTALLER" ] || rm -rf "$package"
    done
else
    echo "make: setting up .venv with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])') (log in $log)"
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make .venv."
fi
rm -f $stamp
: >$log
install -r requirements/lock.txt
install --no-deps --require-hashes -r requirements/embedded.txt
install --no-deps --no-build-isolation -e .
# Not left to the first import: there a compiler's warning about a package would count as the importer's.
# Packages carry a few files that are not for this Python; that is no failure.
echo "  compiling"
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1
touch $stamp
echo "make: .venv is ready"
