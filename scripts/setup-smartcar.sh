#!/usr/bin/env bash
# The interpreter that `crates/simulator/tests/smartcarpy.rs` runs, with a client package.
exec "$(dirname "$0")/python-client.sh" smartcarpy crates/simulator/tests/smartcarpy "requests, smartcar" 10
