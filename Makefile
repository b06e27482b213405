# Two commands: `make demo` and `make test`. Both do all the set-up on a fresh Debian machine with Rust.
# ARGS is handed to demo and simulate: make demo ARGS="--once --stops stops.csv --deliveries 3 --report demo.json"
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
ARGS ?=
# A newer Node than Debian's, where scripts/setup-node.sh had to fetch one.
export PATH := $(CURDIR)/target/node/node_modules/node/bin:$(PATH)

.PHONY: help demo simulate test setup lint unit test-home-assistant test-web bench mutants openapi vectors clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

demo: ## everything on this machine: starts all parties, plays a delivery as a story (ARGS="--help" lists options)
	scripts/setup-node.sh
	cargo build --locked -p parcelshelf
	exec "$${CARGO_TARGET_DIR:-target}/debug/parcelshelf" demo $(ARGS)

simulate: ## a whole city's day over real HTTP, with a judge (ARGS="--help" lists options)
	scripts/setup-node.sh
	cargo build --locked --release -p parcelshelf
	exec "$${CARGO_TARGET_DIR:-target}/release/parcelshelf" simulate $(ARGS)

test: setup lint unit test-home-assistant test-web ## set-up, format, lints and every test

setup: ## what the tests need beyond Rust (strace, independent clients and servers)
	scripts/setup.sh

lint: ## formatting and clippy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

unit: ## every test of the workspace
	cargo test --locked --workspace --no-fail-fast

test-home-assistant: ## the adapter for Home Assistant against a real one (installs it once: about 750 MB)
	scripts/setup-home-assistant.sh
	cargo clippy --locked -p parcelshelf-access-homeassistant --all-targets --features home-assistant -- -D warnings
	cargo test --locked -p parcelshelf-access-homeassistant --features home-assistant --test real --test silence

test-web: ## the web apps: types, unit tests, real browsers; ends with `N passed, N failed`
	scripts/test-web.sh

bench: ## chain verification, sealing, commits, log: each against its floor in the same run
	cargo bench --locked --workspace

mutants: ## changes of the deciding crates that no test notices (an hour; ARGS="opening" for one of three)
	scripts/mutants.sh $(ARGS)

openapi: ## writes openapi/*.json from the code
	cargo run --locked -q -p parcelshelf -- openapi --write openapi

clean: ## removes build output
	cargo clean
