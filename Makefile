# `make help` lists what there is. `make run` and `make test` need Go and
# nothing else.

BIN       := bin/agentzero
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X main.version=$(VERSION)
SKIPS     := $(CURDIR)/.cache/skips
FUZZTIME  ?= 60s
# REQUIRE_ALL=1 makes a test fail where it would skip because a real part is
# missing.
REQUIRE_ALL ?=
# RESULTS=1 makes bench write its table and plots into bench/RESULTS.md and .html.
RESULTS   ?=
# PKG narrows test, race, fuzz, bench-code and lint to some packages.
PKG       ?= ./...
TESTFLAGS ?=
# What runs inside the test's own process is tested a second time under the race
# detector, where there is the C compiler that it needs.
RACE_PKG  ?= ./actors/... ./agent/... ./auth/... ./client/... ./cmd/... ./config/... ./daemon/... ./store/... ./transport/...

# What the tests of the real parts look at. They run the binary made here.
export AGENTZERO_BIN        := $(CURDIR)/$(BIN)
export AGENTZERO_TEST_SKIPS := $(SKIPS)
export REQUIRE_ALL

.DEFAULT_GOAL := help
.PHONY: help run build build-bench test race conformance test-llm fuzz bench bench-code lint release deps clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build the gateway and start it with the built-in demo agent
	./$(BIN) gateway --demo

build: ## Build the static binary, bin/agentzero
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/agentzero

build-bench: ## Build the load harness, bin/agentzero-bench
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/agentzero-bench ./cmd/agentzero-bench

test: build ## Run all tests; the real parts this machine lacks are skipped aloud
	@RACE_PKG='$(RACE_PKG)' test/run.sh -timeout 30m $(TESTFLAGS) $(PKG)

race: ## Run all tests under the race detector, the gateway's binary too (needs a C compiler)
	go build -race -o $(BIN)-race ./cmd/agentzero
	@AGENTZERO_BIN='$(CURDIR)/$(BIN)-race' test/run.sh -race -timeout 45m $(TESTFLAGS) $(PKG)

conformance: build ## Drive the gateway with clients and suites nobody here wrote
	@test/run.sh -v -timeout 30m $(TESTFLAGS) ./test/conformance

test-llm: build ## Chat with a real local model through the gateway
	@test/run.sh -v -timeout 15m $(TESTFLAGS) ./test/llm

fuzz: ## Run each fuzz target for FUZZTIME (60s), one after another
	@test/fuzz.sh $(FUZZTIME) $(PKG)

bench: ## Measure the gateway beside nginx and the floor, in under 10 minutes (RESULTS=1 keeps it in bench/RESULTS.md)
	@RESULTS='$(RESULTS)' bench/run.sh

bench-code: ## Run the benchmarks of the code
	go test -run '^$$' -bench . -benchmem $(TESTFLAGS) $(PKG)

lint: ## gofmt, go vet, staticcheck, and govulncheck where its database is to be had
	@test/lint.sh $(PKG)

release: ## Build the release into dist/: archives, deb, rpm, SBOM, checksums
	@release/build.sh

deps: ## Install the real parts of the tests: PostgreSQL, Chromium, and all else into git-ignored folders
	@test/deps.sh

clean: ## Take away what was built (what deps installed stays)
	rm -rf bin dist $(SKIPS)
