#!/bin/sh
# Libraries and tools that pip cannot bring: looked for first, then installed with apt where that is allowed.
# Usage: requirements/system.sh report|test. Never fails: what stays missing is named, and work goes on.
set -u

need() { # need PACKAGE COMMAND...: the package is missing when none of the commands exists
    package=$1
    shift
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    missing="$missing $package"
}

missing=$(.venv/bin/python - <<'PY'
import ctypes, ctypes.util, pathlib, sys
libraries = {
    "libpango-1.0-0": ("libpango-1.0.so.0", "pango-1.0"),
    "libpangoft2-1.0-0": ("libpangoft2-1.0.so.0", "pangoft2-1.0"),
    "libharfbuzz-subset0": ("libharfbuzz-subset.so.0", "harfbuzz-subset"),
}
def absent(names):
    try:
        ctypes.CDLL(names[0])
    except OSError:
        return ctypes.util.find_library(names[1]) is None
    return False
missing = [package for package, names in libraries.items() if absent(names)]
fonts = pathlib.Path("/usr/share/fonts")
if sys.platform == "linux" and not any(p.suffix in (".ttf", ".otf") for p in fonts.rglob("*")):
    missing.append("fonts-dejavu-core")
print(*missing)
PY
)
case ${1:-report} in
report) purpose="the PDF report" ;;
test)
    purpose="some tests"
    need poppler-utils pdftotext
    need qpdf qpdf
    need chromium chromium google-chrome chromium-browser
    ;;
esac
missing=$(echo $missing) # without the spaces around it
[ -z "$missing" ] && exit 0

tried=.venv/.apt-tried # one attempt: a machine without a package mirror is not asked again at every run
log=.venv/apt.log
advice="make: $purpose need what is not installed; to have it: apt-get install $missing"
if [ "$(uname -s)" = Darwin ]; then
    advice="make: $purpose need what is not installed; to have it: brew install pango poppler qpdf"
fi
[ "$(cat "$tried" 2>/dev/null)" = "$missing" ] && { echo "$advice"; exit 0; }

command -v apt-get >/dev/null 2>&1 || { echo "$advice"; exit 0; }
if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
elif sudo -n true >/dev/null 2>&1; then
    as_root="sudo -n env"
else
    echo "$advice" | sed 's/: apt-get/: sudo apt-get/'
    exit 0
fi

echo "make: installing $missing (for $purpose; log in $log)"
apt="$as_root DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -q -o DPkg::Lock::Timeout=120"
install="$apt install -y --no-install-recommends $missing"
# The lists on disk may be absent or old: they are fetched only when the first try needs it.
if $install >"$log" 2>&1 </dev/null || { $apt update >>"$log" 2>&1 </dev/null && $install >>"$log" 2>&1 </dev/null; }; then
    rm -f "$tried"
else
    echo "$missing" >"$tried"
    echo "make: that did not work ($(grep -a '^[EW]:' "$log" | tail -n 1)); going on without."
    echo "$advice"
fi
exit 0
