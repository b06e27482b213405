#!/usr/bin/env bash
# Runs one fuzz target for so many seconds on stable Rust: scripts/fuzz.sh TARGET [SECONDS]; without arguments it lists them.
# New inputs that reach new code are kept in fuzz/found/TARGET (not committed); a finding is left in fuzz/artifacts, and the
# exit status is not 0. Put what is worth keeping into fuzz/corpus/TARGET: `cargo test -p parcelshelf-protocol --test it
# corpora` replays it.
set -euo pipefail
cd "$(dirname "$0")/.."

names() { sed -n 's/^    ("\([a-z_]*\)", [a-z_]*),$/\1/p' fuzz/src/targets.rs; }
target="${1:-}"
seconds="${2:-600}"
if [ -z "$target" ] || ! names | grep -qx "$target"; then
  echo "targets:" $(names)
  [ -z "$target" ]
  exit
fi

# What `cargo fuzz` sets, without the sanitizers, which stable Rust does not offer: our crates forbid unsafe code, so the
# coverage is what is wanted. Everything below the fuzz crate is instrumented and lies in a target folder of its own.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code"
host="$(rustc -vV | sed -n 's/^host: //p')"
cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --target "$host"

mkdir -p "fuzz/found/$target" "fuzz/corpus/$target" fuzz/artifacts
FUZZ_TARGET="$target" exec "fuzz/target/$host/release/parcelshelf-fuzz" \
  "fuzz/found/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -max_len=140000 -timeout=10 -rss_limit_mb=2048 \
  -artifact_prefix="fuzz/artifacts/$target-" -print_final_stats=1
