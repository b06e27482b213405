#!/usr/bin/env bash
# Node that is new enough for the web apps. Debian 12 has an older one: then a newer comes as a package of npm into
# target/node, which the Makefile has in its PATH. Safe to run again; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

new_enough() {
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}
export PATH="$PWD/target/node/node_modules/node/bin:$PATH"
new_enough && exit 0

if ! command -v npm >/dev/null 2>&1; then
  echo "setup: installing nodejs and npm"
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi
new_enough && exit 0
echo "setup: installing a newer Node into target/node"
npm install --prefix target/node --no-audit --no-fund --loglevel=error node@24 >/dev/null
new_enough || {
  echo "setup-node: Node 20.19 or newer could not be installed" >&2
  exit 1
}
