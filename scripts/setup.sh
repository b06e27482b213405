#!/usr/bin/env bash
# Installs what the tests need beyond a Rust toolchain, on Debian. Safe to run again; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND DEBIAN-PACKAGE
  command -v "$1" >/dev/null 2>&1 && return 0
  echo "setup: installing $2 (for $1)"
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

need cc gcc                # bundled SQLite and aws-lc are C
need strace strace         # the durability test reads the order of system calls
need python3 python3       # independent clients run in interpreters of their own
python3 -c 'import venv, ensurepip' 2>/dev/null || need no-such-command python3-venv
scripts/setup-node.sh      # one of them is a Node package, and the web apps are built with it
export PATH="$PWD/target/node/node_modules/node/bin:$PATH"
need chromium chromium     # the web apps are tested in a real browser

scripts/setup-web.sh
scripts/setup-volvocarsapi.sh
scripts/setup-pyonstar.sh
scripts/setup-onstarjs2.sh
scripts/setup-fake-seam.sh
scripts/setup-tesla-fleet-api.sh
scripts/setup-smartcar.sh
scripts/setup-smartcarjs.sh
scripts/setup-stranger.sh
