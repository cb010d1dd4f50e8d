# Every command of this repository; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help demo test web web-test web-shots check simulate up down bench chaos fmt deny clean setup setup-test

CARGO ?= cargo

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## start everything, load documents, send requests, show results until Ctrl-C
	@if missing=$$(.ci/node 2>&1); then $(MAKE) --no-print-directory web || echo "the page is not built: see above; all else works"; else echo "the page is not built: $$missing"; fi
	@$(CARGO) build --quiet --package millrace --package testkit --bins
	@$(CARGO) run --quiet --package testkit --bin demo

test: setup-test ## every check, with the real parts: what CI runs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) test --workspace --no-fail-fast
	$(CARGO) test --quiet --package topics --test it -- --ignored --test-threads=1
	$(MAKE) --no-print-directory web-test
	$(MAKE) --no-print-directory chaos SECONDS=90 RATE=60 SEED=1

WEB := $(shell find web \( -name node_modules -o -name dist -o -name browser -o -name shots -o -name test-results \) -prune -o -type f -print)

web: web/dist/index.html ## build the page into web/dist, if anything of it changed (needs Node 20.19)

web/dist/index.html: web/node_modules/.package-lock.json $(WEB)
	@cd web && npm run --silent build -- --logLevel warn

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@.ci/node
	@cd web && npm ci --no-audit --no-fund --loglevel error

web-test: web ## the page: types, lints, unit tests, and stories in Chromium against the mock and the real thing
	cd web && npm run --silent typecheck && npm run --silent lint && npm run --silent unit
	$(CARGO) build --quiet --package millrace --package testkit --bins
	cd web && npm run --silent browser && npm run --silent stack

web-shots: web ## pictures of every page in both themes and two widths, into web/shots
	cd web && npm run --silent shots

check: ## the inner loop: format, lints, unit tests, simulation (no broker)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) test --workspace --quiet --lib --bins

simulate: ## the engine against a model of brokers: SCHEDULES= of them, then the table of mistakes that it must find
	@SCHEDULES="$(or $(SCHEDULES),30000)" SEED="$(SEED)" $(CARGO) test --quiet --package testkit --lib -- --nocapture --test-threads 1 simulation

up: setup ## start broker, registry and PostgreSQL on fixed ports; prints how to reach them
	@$(CARGO) run --quiet --package testkit --bin parts -- up

down: ## stop what `make up` started
	@$(CARGO) run --quiet --package testkit --bin parts -- down

bench: setup ## performance figures, one JSON object a line; all, or SCENARIO= some of floor,latency,engine,calls,inflight,keys,takeover,hot-key,bad-topic,restart,steady,memory, or chain
ifeq ($(SCENARIO),$(filter-out chain,$(SCENARIO)))
	@$(CARGO) run --release --quiet --package testkit --features crash-points --bin bench -- $(if $(SCENARIO),--scenario "$(SCENARIO)")
endif
ifneq ($(if $(SCENARIO),$(filter chain,$(SCENARIO)),all),)
	@$(CARGO) bench --quiet --package orchestrator --bench chain --bench allocations
endif

chaos: PROFILE ?= $(shell test $(or $(RATE),100) -gt 100 && echo release || echo dev)
chaos: setup ## break everything under load, then judge (SECONDS=90 RATE=100 SEED=n BROKERS=1|3, PREDECESSOR=path of another build, PROFILE=release from RATE=101 on, else dev); last line: JSON
	@$(CARGO) run --profile $(PROFILE) --quiet --package testkit --bin chaos -- --seconds $(or $(SECONDS),90) --rate $(or $(RATE),100) --brokers $(or $(BROKERS),1) $(if $(SEED),--seed $(SEED)) $(if $(PREDECESSOR),--predecessor $(abspath $(PREDECESSOR)))

deny: ## licences, advisories and bans (needs cargo-deny, and github.com for the advisories)
	@command -v cargo-deny >/dev/null || { echo "missing: cargo-deny. Type: cargo install --locked cargo-deny"; exit 1; }
	cargo-deny check

clean: ## remove build output and everything that was started or downloaded here
	-@$(CARGO) run --quiet --package testkit --bin parts -- down
	$(CARGO) clean
	rm -rf .millrace

setup:
	@.ci/setup build

setup-test:
	@.ci/setup test
