#!/usr/bin/env bash
# Mutation tests of the crates that decide and verify: scripts/mutants.sh [CRATE…]. Outside `make test`: it takes an hour.
# Without arguments: opening, protocol and log. docs/mutants.md has what came of it.
#
# Resumable: what was run is in target/mutants/CRATE.jsonl and is passed over the next time; remove the file to run all anew, or
# say MUTANTS_AGAIN=1 to run again what was missed, after a test was written. At the end what survived is listed, and the share
# that was caught: the goal is 85 %.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup-mutants.sh
target="${CARGO_TARGET_DIR:-target}"
out="$target/mutants"
crates=("$@")
[ $# -gt 0 ] || crates=(opening protocol log)
# A property that 32 cases do not notice is one that notices by chance.
export PROPTEST_CASES="${PROPTEST_CASES:-32}" CARGO_TARGET_DIR="$PWD/$target/mutants/build"
[ "${target#/}" = "$target" ] || CARGO_TARGET_DIR="$target/mutants/build"

# The one changes every bit of every bundle, for minutes; the other explores a million states.
export MUTANTS_SKIP="${MUTANTS_SKIP:-case::after_any_change_of_any_bit_it_is_refused}" MUTANTS_LAST="${MUTANTS_LAST:-model}"

for crate in "${crates[@]}"; do
  case "$crate" in
    opening | protocol | log) "$target/mutants-venv/bin/python" scripts/mutants-at-once.py "$crate" "$out/tree" "$out" ;;
    *) echo "usage: scripts/mutants.sh [opening|protocol|log]…" >&2; exit 64 ;;
  esac
done
