#!/usr/bin/env bash
# Mutation tests of the crates that decide and verify: scripts/mutants.sh [CRATE] [SHARD/OF]. Outside `make test`, for a whole
# run takes hours. Without arguments: opening, protocol and log, each in 16 shards, one after another.
#
# Resumable: a shard that is done leaves target/mutants/CRATE-N-of-M/done and is passed over the next time; remove the folder
# to run it anew. At the end what survived is listed, and the share that was caught: the goal is 85 %.
set -euo pipefail
cd "$(dirname "$0")/.."

version=27.1.0
out="${CARGO_TARGET_DIR:-target}/mutants"
mkdir -p "$out"
if ! cargo mutants --version 2>/dev/null | grep -q " $version\$"; then
  echo "mutants: installing cargo-mutants $version (once, some minutes)"
  cargo install --locked --quiet --version "$version" cargo-mutants
fi

crates=("${1:-}")
[ $# -gt 0 ] || crates=(opening protocol log)
shards="${2:-}"

run() { # run CRATE N OF
  local dir="$out/$1-$2-of-$3"
  [ -e "$dir/done" ] && return 0
  rm -rf "$dir"
  mkdir -p "$dir"
  echo "mutants: $1, shard $2 of $3"
  # 2: some were not caught, 3: some took too long. Both are results; anything else is not.
  local status=0
  cargo mutants --package "parcelshelf-$1" --shard "$2/$3" --output "$dir" --jobs "${MUTANTS_JOBS:-1}" \
    --baseline skip --timeout "${MUTANTS_TIMEOUT:-300}" --no-shuffle --colors never || status=$?
  case "$status" in
    0 | 2 | 3) touch "$dir/done" ;;
    *) echo "mutants: $1, shard $2 of $3 could not be run ($status)" >&2; exit "$status" ;;
  esac
}

for crate in "${crates[@]}"; do
  case "$crate" in
    opening | protocol | log) ;;
    *) echo "usage: scripts/mutants.sh [opening|protocol|log] [SHARD/OF]" >&2; exit 64 ;;
  esac
  if [ -n "$shards" ]; then
    run "$crate" "${shards%/*}" "${shards#*/}"
  else
    for n in $(seq 0 15); do run "$crate" "$n" 16; done
  fi
done

count() { cat "$out"/*/mutants.out/"$1".txt 2>/dev/null | wc -l; }
caught=$(($(count caught) + $(count timeout)))
missed=$(count missed)
cat "$out"/*/mutants.out/missed.txt 2>/dev/null || true
echo "mutants: $caught caught, $missed survived, $(count unviable) did not build"
[ $((caught + missed)) -eq 0 ] || echo "mutants: $((100 * caught / (caught + missed))) % caught"
