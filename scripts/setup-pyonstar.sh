#!/usr/bin/env bash
# The interpreter that `crates/simulator/tests/pyonstar.rs` runs, with a client package.
exec "$(dirname "$0")/python-client.sh" pyonstar crates/simulator/tests/pyonstar "httpx, pyonstar" 10
