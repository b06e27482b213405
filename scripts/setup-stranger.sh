#!/usr/bin/env bash
# Makes the interpreter that `crates/parcelshelf/tests/stranger.rs` runs: a virtual environment in the target folder with the
# JOSE library package named in requirements.txt. Safe to run again; does nothing when it is there and its pins are the same.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=crates/parcelshelf/tests/stranger/requirements.txt
venv="${CARGO_TARGET_DIR:-target}/stranger-venv"
stamp="$venv/pins.txt" # written last, so that a half-made folder is never taken for a whole one

fail() {
  echo "setup-stranger: $*" >&2
  exit 1
}

if cmp -s "$pins" "$stamp" && "$venv/bin/python" -c 'import cryptography, jwcrypto' 2>/dev/null; then
  exit 0
fi

command -v python3 >/dev/null 2>&1 || fail "python3 is missing (Debian: apt-get install python3 python3-venv)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "Python 3.10 or later is needed, $(python3 --version) is here"

echo "setup: making $venv"
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
python3 -m venv "$venv" || fail "python3 -m venv failed (Debian: apt-get install python3-venv)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$pins" ||
  fail "pip could not install $pins (no network, or no index that has these versions?)"
"$venv/bin/python" -c 'import cryptography, jwcrypto' || fail "the installed package cannot be imported"
cp "$pins" "$stamp"
