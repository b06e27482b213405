#!/usr/bin/env bash
# The interpreter that `crates/simulator/tests/volvocarsapi.rs` runs, with a client package. The package says that it needs 3.12,
# and runs on 3.11; what it then lacks, the driver would add.
exec "$(dirname "$0")/python-client.sh" volvocarsapi crates/simulator/tests/volvocarsapi "aiohttp, volvocarsapi.api, volvocarsapi.auth" 11 --ignore-requires-python
