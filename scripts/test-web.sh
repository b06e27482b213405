#!/usr/bin/env bash
# Types, unit tests, sizes and real browsers, in this order. Ends with one line: N passed, N failed.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup-web.sh
export PATH="$PWD/target/node/node_modules/node/bin:$PATH"
# The same build as for the other tests: with other features every crate would be built once more. It builds the apps, too.
cargo test --locked --workspace --no-run --quiet
cd web
npm run --silent check
npm run --silent api:check
node build/files.mjs --max 20
units="$(mktemp)"
trap 'rm -f "$units"' EXIT
failed=0
npx vitest run --reporter=default --reporter=json --outputFile="$units" || failed=1
count() { node -e 'const r = JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(r[process.argv[2]])' "$units" "$1"; }
log="$(mktemp)"
# Two stories at a time, with patience: a machine with two cores does other things, too.
AT_ONCE="${AT_ONCE:-2}" PATIENCE="${PATIENCE:-2}" node test/e2e/run.mjs | tee "$log" || failed=1
last="$(tail -n 1 "$log")"
rm -f "$log"
passed=$(($(count numPassedTests) + $(sed -E 's/^([0-9]+) passed.*/\1/' <<<"$last")))
lost=$(($(count numFailedTests) + $(sed -E 's/.* ([0-9]+) failed$/\1/' <<<"$last")))
echo "$passed passed, $lost failed"
exit "$failed"
