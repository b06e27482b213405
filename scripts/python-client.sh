#!/usr/bin/env bash
# Makes an interpreter for one test: a virtual environment in the target folder with the packages that a requirements.txt pins.
# Safe to run again; does nothing when it is there and its pins are the same.
# python-client.sh NAME FOLDER-OF-PINS "MODULES, …" PYTHON-3-MINOR [PIP-OPTION…]
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1 pins=$2/requirements.txt modules=$3 minor=$4
shift 4
venv="${CARGO_TARGET_DIR:-target}/$name-venv"
stamp="$venv/pins.txt" # written last, so that a half-made folder is never taken for a whole one

fail() {
  echo "setup-$name: $*" >&2
  exit 1
}

if cmp -s "$pins" "$stamp" && "$venv/bin/python" -c "import $modules" 2>/dev/null; then
  exit 0
fi

command -v python3 >/dev/null 2>&1 || fail "python3 is missing (Debian: apt-get install python3 python3-venv)"
python3 -c "import sys; sys.exit(sys.version_info < (3, $minor))" || fail "Python 3.$minor or later is needed, $(python3 --version) is here"

echo "setup: making $venv"
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
python3 -m venv "$venv" || fail "python3 -m venv failed (Debian: apt-get install python3-venv)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" -r "$pins" ||
  fail "pip could not install $pins (no network, or no index that has these versions?)"
"$venv/bin/python" -c "import $modules" || fail "the installed package cannot be imported"
cp "$pins" "$stamp"
