#!/bin/sh
# Prints the first Python >= 3.11 that really starts and can make a virtual environment.
# Usage: requirements/find-python.sh [PYTHON]; a given PYTHON is the only candidate.
set -u

probe='import sys
sys.exit(3) if sys.version_info < (3, 11) else None
try:
    import ensurepip, venv
except ImportError:
    sys.exit(4)
print(sys.executable)'

without_venv=
for candidate in ${1:-python3 python3.11 python3.12 python3.13 python3.14 python /usr/bin/python3}; do
    # A shim of a version manager may be in PATH and fail: only running it tells.
    found=$("$candidate" -c "$probe" 2>/dev/null)
    status=$?
    if [ $status -eq 0 ] && [ -n "$found" ]; then
        printf '%s\n' "$found"
        exit 0
    fi
    [ $status -eq 4 ] && without_venv=${without_venv:-$candidate}
done

if [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "make: $without_venv is Python $version without its venv module: install it (Debian: apt-get install python$version-venv) and run make again." >&2
elif [ $# -gt 0 ]; then
    echo "make: PYTHON=$1 is not a Python 3.11 or newer that starts: name another one or leave PYTHON out." >&2
else
    echo "make: no Python 3.11 or newer was found in PATH: install one, or name it with make PYTHON=/path/to/python3." >&2
fi
exit 1
