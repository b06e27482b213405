#!/usr/bin/env bash
# An independent client of Volvo's cloud (PyPI volvocarsapi, GPL-3.0) in an environment of its own below the target folder.
# It runs as a separate process in one test; nothing of it is imported or copied. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
home="$target/volvocarsapi"
python="$home/bin/python"
wanted="volvocarsapi==0.4.5"

if [ -x "$python" ] && "$python" -c 'import volvocarsapi.api, volvocarsapi.auth' 2>/dev/null && [ -f "$home/installed-$wanted" ]; then
  exit 0
fi
echo "setup: installing $wanted into $home"
mkdir -p "$target"
rm -rf "$home"
python3 -m venv "$home" || { echo "setup: python3 cannot make environments; install python3-venv" >&2; exit 1; }
# The package asks for Python 3.12 and runs on 3.11.
"$python" -m pip install --quiet --disable-pip-version-check --ignore-requires-python "$wanted" "aiohttp==3.14.5" "yarl==1.25.1" ||
  { echo "setup: $wanted could not be installed; is the package index reachable?" >&2; exit 1; }
"$python" -c 'import volvocarsapi.api, volvocarsapi.auth'
touch "$home/installed-$wanted"
