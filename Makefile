# The doors of the house. `make help` lists them.
SHELL := /bin/sh
GO ?= go

# Programs that the checks need and the module graph does not; built by the go command, from the module proxy.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
LDFLAGS := -s -w -X main.version=$(VERSION)
# The race detector needs a C compiler; `make test RACE=` does without.
RACE ?= -race
TEST ?= ./...
TESTFLAGS ?=
# Packages with long sweeps on one goroutine, over official examples and vectors. The race detector sees a part of them
# (testdata.Race), so they run once more without it; of the server the one test.
SWEEPS = ./fhir/... ./fhirpath/... ./internal/definitions ./profiles/...

.PHONY: help run build test test-long lint bench generate docker clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and run the server with the demo cohort on http://127.0.0.1:8080/fhir
	@INGLE_DEMO="$${INGLE_DEMO:-true}" INGLE_SEARCH_FULL_TEXT="$${INGLE_SEARCH_FULL_TEXT:-true}" exec bin/ingle serve

build: ## build bin/ingle, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ingle ./cmd/ingle

test: ## run all tests on a real PostgreSQL, with the race detector (TEST=./store for one package; `make lint` vets)
	@if [ -n '$(RACE)' ] && ! command -v "$$($(GO) env CC)" >/dev/null; then \
		echo 'The race detector needs a C compiler (gcc or clang). Install one, or run: make test RACE=' >&2; exit 1; fi
	GORACE="atexit_sleep_ms=100 $$GORACE" $(GO) test $(RACE) -vet=off -timeout 20m $(TESTFLAGS) $(TEST)
	@if [ -n '$(RACE)' ] && [ '$(TEST)' = ./... ]; then set -x; \
		$(GO) test -vet=off -timeout 20m $(TESTFLAGS) $(SWEEPS) && $(GO) test -vet=off -timeout 20m $(TESTFLAGS) -run '^TestOfficialExamples$$' ./server; fi

test-long: ## the long forms of the tests: crashes, random searches, fuzzing (hours)
	INGLE_LONG=1 $(GO) test -timeout 6h -p 1 $(TESTFLAGS) $(TEST)

lint: ## gofmt, go vet, staticcheck, import directions, a tidy go.mod
	@unformatted="$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)"; \
		if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test ./internal/housetest
	$(GO) mod tidy -diff

bench: build ## measure the server against the limit of the machine (BENCH='--url URL' for another server)
	bin/ingle bench $(BENCH)

generate: ## write generated files anew: definitions, configuration reference
	$(GO) generate ./...

docker: ## build the container image ingle:VERSION
	docker build -f deploy/Dockerfile --build-arg VERSION='$(VERSION)' -t ingle:'$(VERSION)' .

clean: ## remove what was built; ./data, the database of `make run`, stays
	rm -rf bin
