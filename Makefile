SHELL := bash

# Arguments for the program behind a target: make demo ARGS="--events 100000"
ARGS ?=
# The benchmark of `make bench`; empty runs all of them.
BENCH ?=
# How long `make fuzz` runs each target.
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench fuzz servers-up servers-down servers-status clean-servers lint fmt doc policy each-feature msrv

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run the demo: no server needed; ARGS="--brokers HOST:PORT --database mysql://... --registry http://..." for real ones
	@scripts/tools build
	@cargo build --all-features --example demo
	@# Quiet: it would print the arguments, and a password among them.
	@cargo run --quiet --all-features --example demo -- $(ARGS)

test: ## Run every test against real servers, which it brings up; STOP=1 stops them at the end
	@STOP=$(STOP) scripts/test $(ARGS)

soak: ## Run the long versions of the tests: MariaDB too, and the demo with 200,000 events on real servers
	@scripts/tools build
	@scripts/servers up kafka mysql registry mariadb
	@# One at a time: some of them measure how long things take.
	@scripts/with-servers cargo test --workspace --all-features --lib --bins --tests $(ARGS) -- --ignored --test-threads=1
	@scripts/with-servers bash -c 'cargo run --all-features --example demo -- --brokers "$$TIDINGS_TEST_BROKERS" --database "$$TIDINGS_TEST_DATABASE" --registry "$$TIDINGS_TEST_REGISTRY" --events 200000 --players 5000 --mode all --json'

bench: ## Run the benchmarks, or BENCH=NAME alone: ours beside a reference; JSON lines go to target/bench/NAME.jsonl
	@scripts/tools build
	@rm -f target/bench/$(or $(BENCH),*).jsonl
	@scripts/with-servers cargo bench --all-features $(if $(BENCH),--bench $(BENCH),--benches) -- $(ARGS)

fuzz: ## Fuzz the codec, SECONDS for each target (60); ARGS=decode for one target
	@scripts/fuzz $(SECONDS) $(ARGS)

servers-up: ## Start Kafka, MySQL and the registry and wait until they answer; ARGS=mariadb adds the second database
	@scripts/servers up kafka mysql registry $(ARGS)

servers-down: ## Stop the servers, keep their data
	@scripts/servers down

servers-status: ## Show what runs where
	@scripts/servers status

clean-servers: ## Stop the servers and delete their data
	@scripts/servers clean

lint: ## Check formatting, lints, documentation and scripts
	@scripts/lint

fmt: ## Format the code
	@cargo fmt --all

doc: ## Build the documentation
	@scripts/tools build
	@cargo doc --workspace --all-features --no-deps

policy: ## Check the dependencies: licences, sources, duplicates, advisories
	@scripts/policy $(ARGS)

each-feature: ## Check that every feature builds alone
	@scripts/each-feature

msrv: ## Check that everything builds with the oldest Rust the manifest promises
	@scripts/msrv
