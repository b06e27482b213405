#!/usr/bin/env bash
# What the web apps are built and tested with: the packages of web/package-lock.json, every install script off. Safe to run
# again; does nothing when the lock is the same. The build of crates/web-assets does this by itself where it has to.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup-node.sh
export PATH="$PWD/target/node/node_modules/node/bin:$PATH"
cd web

fail() {
  echo "setup-web: $*" >&2
  exit 1
}

stamp=node_modules/.parcelshelf-lock.json # written last, so that a half-made folder is never taken for a whole one
cmp -s package-lock.json "$stamp" && exit 0
echo "setup: installing the packages of the web apps"
npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null ||
  fail "npm could not install package-lock.json (no network, or no registry that has these versions?)"
cp package-lock.json "$stamp"
