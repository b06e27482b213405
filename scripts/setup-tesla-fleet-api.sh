#!/usr/bin/env bash
# Makes the interpreter that `crates/simulator/tests/tesla_fleet_api.rs` runs: a virtual environment in the target folder with
# the client package named in requirements.txt. Safe to run again; does nothing when it is there and its pins are the same.
# The package needs Python 3.13, which is younger than many machines: where there is none, a file says so, and the test is
# skipped with that sentence instead of failing.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=crates/simulator/tests/tesla_fleet_api/requirements.txt
venv="${CARGO_TARGET_DIR:-target}/tesla-fleet-api-venv"
stamp="$venv/pins.txt" # written last, so that a half-made folder is never taken for a whole one
skipped="$venv/skipped.txt"

fail() {
  echo "setup-tesla-fleet-api: $*" >&2
  exit 1
}

if cmp -s "$pins" "$stamp" && "$venv/bin/python" -c 'import aiohttp, tesla_fleet_api' 2>/dev/null; then
  exit 0
fi

python=""
for candidate in python3 python3.13 python3.14 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3-9]*/bin/python3; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1; then
    python="$candidate"
    break
  fi
done

rm -rf "$venv"
mkdir -p "$venv"
if [ -z "$python" ]; then
  echo "Python 3.13 or later is needed for tesla-fleet-api and is not on this machine" >"$skipped"
  echo "setup: $(cat "$skipped"); its test will be skipped"
  exit 0
fi

echo "setup: making $venv"
"$python" -m venv "$venv" || fail "$python -m venv failed"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$pins" ||
  fail "pip could not install $pins (no network, or no index that has these versions?)"
"$venv/bin/python" -c 'import aiohttp, tesla_fleet_api' || fail "the installed package cannot be imported"
cp "$pins" "$stamp"
