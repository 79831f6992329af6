#!/bin/sh
# Libraries and tools that pip cannot bring: looked for first, then installed with apt where that is allowed.
# Usage: requirements/system.sh report|test. Never fails: what stays missing is named, and work goes on.
set -u
tried=.venv/.apt-tried # one attempt: a machine without a package mirror is not asked again at every run
log=.venv/apt.log

need() { # need PACKAGE COMMAND...: the package is missing when none of the commands exists
    package=$1
    shift
    for name; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    missing="$missing $package"
}

missing=$(.venv/bin/python -c '
import ctypes.util
for package, name in ("libpangoft2-1.0-0", "pangoft2-1.0"), ("libharfbuzz-subset0", "harfbuzz-subset"):
    try:
        ctypes.CDLL(f"lib{name}.so.0")
    except OSError:
        if not ctypes.util.find_library(name):
            print(package)')
font=$(find /usr/share/fonts /Library/Fonts /System/Library/Fonts -name '*.[ot]tf' 2>/dev/null | head -n 1)
[ -n "$font" ] || missing="$missing fonts-dejavu-core"
purpose="the PDF report"
if [ "${1:-report}" = test ]; then
    purpose="some tests"
    need poppler-utils pdftotext
    need qpdf qpdf
    need chromium chromium google-chrome chromium-browser
    need shellcheck shellcheck
fi
missing=$(echo $missing) # on one line, without the spaces around it
[ -n "$missing" ] || exit 0

sudo= how="apt-get install $missing"
[ "$(id -u)" -eq 0 ] || sudo="sudo -n" how="sudo $how"
[ "$(uname -s)" != Darwin ] || how="brew install pango poppler qpdf shellcheck"
if command -v apt-get >/dev/null 2>&1 && $sudo true 2>/dev/null && [ "$(cat "$tried" 2>/dev/null)" != "$missing" ]; then
    echo "make: installing $missing (for $purpose; log in $log)"
    apt="$sudo env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -q -o DPkg::Lock::Timeout=120"
    install="$apt install -y --no-install-recommends $missing"
    # The lists on disk may be absent or old: they are fetched only when the first try needs it.
    { $install || { $apt update && $install; }; } >"$log" 2>&1 </dev/null && exit 0
    echo "$missing" >"$tried"
    echo "make: that did not work ($(grep -a '^[EW]:' "$log" | tail -n 1)); going on without."
fi
echo "make: not everything for $purpose is installed; to have it: $how"
exit 0
