# `make setup`, `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
# What `make test` runs three at a time, long ones first. A suite with nodes waits for about half of its
# time, so that three keep two cores busy until the last one ends. Each suite is one process.
SUITES := e2e contract-rest coldstart contract-k3s k3s contract-provider contract-sandbox https guarded \
	integration slow faults torture kills recordings
.PHONY: $(addprefix test-,$(SUITES)) help setup demo fmt lint types quick unit check contract integration conformance upstream kills e2e variants coldstart coldstart-truth recovery browser https github-calls k3s faults links soak torture age gh shells strace inotify test bench bench-engine architecture sandbox-parts clean

help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(STAMP) ## Make .venv with elysium in it

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## A whole cluster in a sandbox, from nothing (needs Linux and root)
	$(BIN)/elysium demo

fmt: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Format and lint, checked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## Strict types
	$(BIN)/pyright

quick: setup ## The quick tests
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow" tests/unit

unit: quick ## The quick tests and the others that need nothing but Python
	$(BIN)/pytest -q -n 2 --dist worksteal -m slow tests/unit

check: lint types quick ## Format, lint, types, quick tests: under two minutes

sandbox-parts: setup ## Build the sandbox's parts once, into the cache
	$(BIN)/elysium sandbox build

contract: inotify setup sandbox-parts shells strace gh ## Against real sshd, git, API server, FUSE
	$(BIN)/pytest -q -n 2 --dist loadfile tests/contract

links: setup sandbox-parts ## Every fault of the network, in every phase of up, backup and restore
	ELYSIUM_LINKS=all $(BIN)/pytest -q tests/contract/host/test_link.py
	ELYSIUM_LINKS=all $(BIN)/pytest -q tests/links

integration: setup ## The engine with the real SDK and against recordings of upstream's; the wheel
	$(BIN)/pytest -q -n 2 --dist worksteal tests/integration
	$(BIN)/pytest -q tests/conformance/engine/test_recordings.py

conformance: setup kills ## Both engines in turns where there is a pulumi, else against recordings
	@built=$$($(BIN)/python -m tests.upstream.parts --ready); export PATH="$${built:+$$built:}$$PATH"; \
	$(BIN)/pytest -q -n 2 --dist worksteal tests/conformance --ignore tests/conformance/engine/test_kills.py && \
	$(BIN)/pytest -q tests/integration/engine/test_upstream_live.py

upstream: setup sandbox-parts ## Build the pulumi CLI and its kubernetes plugin, and run whole clusters under them
	$(BIN)/python -m tests.upstream

kills: setup ## The engine killed at every write and every provider call of the corpus
	$(BIN)/pytest -q -n 2 --dist worksteal tests/conformance/engine/test_kills.py

e2e: setup sandbox-parts ## The whole thing, in the sandbox
	$(BIN)/pytest -q tests/e2e

variants: setup sandbox-parts ## Jump host, passwords, a protected branch, other versions
	$(BIN)/pytest -q tests/e2e_variants

coldstart: setup sandbox-parts ## A repository that Flux alone cannot bring up, in the sandbox
	$(BIN)/pytest -q tests/e2e_coldstart

coldstart-truth: setup sandbox-parts ## Record again what becomes of each repository shape; fail on a difference
	$(BIN)/python -m tests.shapes record
	$(BIN)/python -m tests.shapes docs

https: setup sandbox-parts ## Flux with a token and a GitHub App, in an empty repository
	$(BIN)/pytest -q tests/e2e_https

k3s: setup sandbox-parts ## The life of a server; also of the real k3s that ELYSIUM_REAL_K3S=FILE names
	$(BIN)/pytest -q tests/e2e_k3s

github-calls: setup sandbox-parts ## Record docs/github-calls.md anew, in the end-to-end tests
	ELYSIUM_RECORD_CALLS=new $(BIN)/pytest -q tests/e2e
	ELYSIUM_RECORD_CALLS=add $(BIN)/pytest -q tests/e2e_coldstart

faults: setup sandbox-parts ## A fault before and after every step of a rotation
	$(BIN)/pytest -q tests/faults

soak: setup sandbox-parts ## A hundred rotations while Flux fetches and pushes
	$(BIN)/python -m tests.soak

torture: setup ## Attack every promise from a seed: MINUTES=30 SEED=1 AREA=fuzz CASE=fuzz/7
	$(BIN)/python -m tests.torture $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(addprefix --area ,$(AREA)) $(if $(CASE),--case $(CASE))

browser: # the drill's page is looked at in one
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }

recovery: setup sandbox-parts browser age ## The page for the night, command by command; killed after every step
	$(BIN)/pytest -q tests/e2e_recovery

age: # the other program that opens our backups
	@command -v age >/dev/null || { apt-get update -qq && apt-get install -y -qq age; }

SHELLS := zsh fish tcsh csh ksh mksh yash posh rc sash elvish xonsh busybox

shells: # every interactive login shell of Debian: our scripts pass through each
	@for shell in zsh fish tcsh csh ksh93 mksh yash posh rc.byron sash elvish xonsh busybox; do \
		command -v $$shell >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends $(SHELLS); exit; }; done

gh: # GitHub's own program makes calls of the forge
	@command -v gh >/dev/null || { apt-get update -qq && apt-get install -y -qq gh; }

strace: # what a build reads is seen with it
	@command -v strace >/dev/null || { apt-get update -qq && apt-get install -y -qq strace; }

inotify: # the kernel's default of 128 instances is enough for two nodes side by side
	@test "$$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 1024 || \
		sysctl -qw fs.inotify.max_user_instances=1024

test: age gh shells strace inotify check sandbox-parts ## Everything
	$(MAKE) --no-print-directory --jobs 3 --output-sync=target $(addprefix test-,$(SUITES))

test-e2e:
	$(BIN)/pytest -q tests/e2e

test-coldstart:
	$(BIN)/pytest -q $(addprefix tests/e2e_coldstart/test_,1_three_deadlocks.py 2_rotate_sealing_key.py 9_restore.py 9_then_github_calls.py)

test-k3s:
	$(BIN)/pytest -q tests/e2e_k3s

test-contract-k3s:
	$(BIN)/pytest -q tests/contract/provider/k3s

test-contract-provider:
	$(BIN)/pytest -q tests/contract/provider --ignore tests/contract/provider/k3s

test-contract-sandbox:
	$(BIN)/pytest -q tests/contract/sandbox tests/contract/github

test-contract-rest:
	$(BIN)/pytest -q tests/contract --ignore tests/contract/provider --ignore tests/contract/sandbox \
		--ignore tests/contract/github

test-https:
	$(BIN)/pytest -q tests/e2e_https/test_1_token_and_app.py

test-guarded:
	$(BIN)/pytest -q tests/e2e_variants/test_1_guarded.py

test-integration:
	$(BIN)/pytest -q tests/integration

test-slow:
	$(BIN)/pytest -q -m slow tests/unit

test-faults:
	$(BIN)/pytest -q -m slice tests/faults

test-torture:
	$(BIN)/pytest -q tests/torture

test-kills:
	$(BIN)/pytest -q -m slice tests/conformance/engine/test_kills.py

test-recordings:
	$(BIN)/pytest -q tests/conformance/engine/test_recordings.py

bench: setup sandbox-parts ## Ratios against peers and limits; AGAINST=REV pairs up with a commit
	$(BIN)/python -m tests.bench $(if $(AGAINST),--against $(AGAINST))

bench-engine: setup ## The engine against upstream's, where a pulumi is on PATH, else against recorded times
	$(BIN)/python -m tests.bench_engine

architecture: setup ## Draw docs/architecture.svg anew from the imports
	$(BIN)/python -m tests.support.architecture

clean: ## Remove what make made here
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
