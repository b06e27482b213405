#!/usr/bin/env bash
# What scripts/mutants.sh needs: cargo-mutants, which names the mutants, and an interpreter with a parser of Rust. Safe to run
# again; does nothing when both are there.
set -euo pipefail
cd "$(dirname "$0")/.."

version=27.1.0
if ! cargo mutants --version 2>/dev/null | grep -q " $version\$"; then
  echo "setup: installing cargo-mutants $version (once, some minutes)"
  cargo install --locked --quiet --version "$version" cargo-mutants
fi
exec scripts/python-client.sh mutants scripts/mutants "tree_sitter, tree_sitter_rust" 10
