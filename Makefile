# make test is what CI runs. Every other target is a part of it or a convenience.

GO       ?= go
TOOL      = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 5s
MODULES   = . bench

.PHONY: demo test lint unit race invariants portable fuzz bench golden build menuconfig defconfig savedefconfig olddefconfig

build: ## the command, into bin/
	$(GO) build -o bin/heapwright ./cmd/heapwright

demo: ## leak, overflow, and what heapwright says about them
	$(GO) run ./cmd/heapwright demo

test: lint unit race invariants portable fuzz
	@echo "all checks passed"

lint:
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./...) || exit 1; done
	$(GO) vet -tags invariants ./...
	@for m in $(MODULES); do tools=$$PWD/tools/go.mod; (cd $$m && $(GO) tool -modfile=$$tools staticcheck ./...) || exit 1; done
	@files=$$($(TOOL) gofumpt -l .); test -z "$$files" || { echo "gofumpt would change:"; echo "$$files"; exit 1; }
	@for m in $(MODULES) tools; do (cd $$m && $(GO) mod tidy -diff && $(GO) mod verify >/dev/null) || exit 1; done

unit:
	$(GO) test ./...
	cd bench && { out=$$($(GO) test -run Test -bench . -benchtime 20x ./... 2>&1) || { echo "$$out"; exit 1; }; }

race: ## without the long simulations, which unit runs
	$(GO) test -race -short ./...

invariants: ## the whole pool is examined after every operation
	$(GO) test -tags invariants .

# Other word sizes and systems: tests where this machine can run them, vet or a
# build of the command elsewhere.
portable:
	GOARCH=386 CGO_ENABLED=0 $(GO) vet ./...
	@if [ "$$($(GO) env GOOS)/$$(uname -m)" = linux/x86_64 ]; then \
		GOARCH=386 CGO_ENABLED=0 $(GO) test -short ./... ; fi
	$(GO) test -tags noframepointer . ./internal/callers
	@for t in linux/arm64 windows/amd64 darwin/arm64 darwin/amd64 freebsd/amd64; do \
		echo "build for $$t"; \
		GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) vet ./... || exit 1; \
		GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/heapwright || exit 1; done

# When the time is up while a worker is busy, go test fails with "context
# deadline exceeded" and nothing else; what it finds, it writes down.
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "fuzz $$p $$f"; \
			out=$$($(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p 2>&1) || \
			case "$$out" in \
				*"Failing input written"*) echo "$$out"; exit 1;; \
				*"context deadline exceeded"*) echo "time was up";; \
				*) echo "$$out"; exit 1;; \
			esac; done; done

bench: ## against malloc through cgo and the Go heap, medians and ratios
	cd bench && $(GO) test -run '^$$' -bench . -count 10 ./... | tee bench.out
	$(TOOL) benchstat -col /alloc bench/bench.out

golden: ## rewrite golden files from what the code prints now
	$(GO) test ./cmd/heapwright ./console ./damage ./report ./shell -update

menuconfig: ## choose features in a menu; saved to .config
	@$(GO) run ./cmd/heapwright menuconfig

defconfig: ## .config with all defaults, and what the file defconfig changes
	@$(GO) run ./cmd/heapwright config default $(wildcard defconfig)

savedefconfig: ## the file defconfig, with what .config changes
	@$(GO) run ./cmd/heapwright config minimal

olddefconfig: ## .config brought up to date with the menu
	@$(GO) run ./cmd/heapwright config update
