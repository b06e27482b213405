#!/usr/bin/env bash
# The interpreter that `crates/parcelshelf/tests/stranger.rs` runs, with a JOSE library.
exec "$(dirname "$0")/python-client.sh" stranger crates/parcelshelf/tests/stranger "cryptography, jwcrypto" 10
