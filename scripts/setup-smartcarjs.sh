#!/usr/bin/env bash
# Installs what `crates/simulator/tests/smartcarjs.rs` runs: the client package named in package-lock.json, below the target
# folder, with every install script off. Safe to run again; does nothing when it is there and the lock is the same.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=crates/simulator/tests/smartcarjs
modules="${CARGO_TARGET_DIR:-target}/smartcarjs"
stamp="$modules/pins.json" # written last, so that a half-made folder is never taken for a whole one

fail() {
  echo "setup-smartcarjs: $*" >&2
  exit 1
}

if cmp -s "$pins/package-lock.json" "$stamp" && [ -f "$modules/node_modules/smartcar/package.json" ]; then
  exit 0
fi

command -v node >/dev/null 2>&1 || fail "node is missing (18 or later; Debian: apt-get install nodejs npm)"
command -v npm >/dev/null 2>&1 || fail "npm is missing (Debian: apt-get install npm)"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 18 ? 1 : 0)' || fail "Node 18 or later is needed, $(node --version) is here"

echo "setup: making $modules"
rm -rf "$modules"
mkdir -p "$modules"
cp "$pins/package.json" "$pins/package-lock.json" "$modules/"
npm ci --prefix "$modules" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >/dev/null ||
  fail "npm could not install $pins/package-lock.json (no network, or no registry that has these versions?)"
cp "$pins/package-lock.json" "$stamp"
