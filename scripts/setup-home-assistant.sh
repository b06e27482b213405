#!/usr/bin/env bash
# Installs the Home Assistant server that `make test-home-assistant` runs: a virtual environment with the packages frozen in
# requirements.txt, about 750 MB, below the target folder or in the folder that PARCELSHELF_HOME_ASSISTANT names (to keep
# one for many checkouts). Safe to run again; does nothing when it is there and its pins are the same.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=crates/access-homeassistant/tests/home-assistant/requirements.txt
venv="${PARCELSHELF_HOME_ASSISTANT:-${CARGO_TARGET_DIR:-target}/home-assistant-venv}"
stamp="$venv/pins.txt" # written last, so that a half-made folder is never taken for a whole one

fail() {
  echo "setup-home-assistant: $*" >&2
  exit 1
}

if cmp -s "$pins" "$stamp" && "$venv/bin/python" -c 'import homeassistant.const' 2>/dev/null; then
  exit 0
fi

# The frozen wheels are for this one version. Any name for it will do.
python=""
for candidate in "${PYTHON311:-}" python3.11 python3; do
  [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python="$candidate"
    break
  fi
done
[ -n "$python" ] || fail "Python 3.11 is needed (Debian 12: apt-get install python3 python3-venv; else name one in PYTHON311)"

# Only a folder that this script made, or that holds nothing, is ever cleared away.
if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
  fail "$venv holds something else; name another folder in PARCELSHELF_HOME_ASSISTANT"
fi
echo "setup: making $venv (about 750 MB, a minute or two)"
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
"$python" -m venv "$venv" || fail "$python -m venv failed (Debian: apt-get install python3-venv)"
# The list is whole: resolving it again would wander off into old source packages for an hour.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$pins" ||
  fail "pip could not install $pins (no network, or no index that has these versions?)"
"$venv/bin/python" -c 'import homeassistant.const' || fail "the installed server cannot be imported"
cp "$pins" "$stamp"
