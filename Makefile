# Millstream: `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
TORCH ?= torch==2.13.0
# On a machine whose index offers CUDA builds by default, a CPU index saves gigabytes:
#   make setup PIP_TORCH_ARGS="--index-url <your CPU index>"
PIP_TORCH_ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := contracts eventlog feature_repo streams training services millstream
# Empty: `make demo` runs until Ctrl-C. A number: headless, for about that many seconds of live shopping.
SECONDS_GIVEN = $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),)

.PHONY: help setup demo test check format lint types imports test-fast bench soak up down status doctor clean distclean

help:  ## List every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Make the virtual environment and install the pinned packages (done once)

$(STAMP): requirements.lock pyproject.toml scripts/check_python.py
	@$(PYTHON) scripts/check_python.py
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing $(TORCH) (the largest package, first, so that nothing pulls in another build of it)"
	@$(PIP) install $(PIP_TORCH_ARGS) "$(TORCH)"
	@echo "installing the pinned packages of requirements.lock"
	@$(PIP) install -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $(STAMP)

demo: setup  ## Open the demo shop (Ctrl-C ends it); SECONDS=60 runs it headless and writes build/demo-summary.json
	@$(BIN)/millstream demo $(if $(SECONDS_GIVEN),--seconds $(SECONDS_GIVEN),)

test: setup  ## Run every test
	@$(BIN)/python -m pytest

test-fast: setup  ## Run the tests that need no running stack
	@$(BIN)/python -m pytest -m "not e2e and not real_kafka"

check: setup format lint types imports test  ## What CI runs: format, lint, types, import rules, tests, headless demo
	@$(BIN)/millstream demo --seconds 60

format: setup  ## Check the formatting (scripts/fix.sh mends it)
	@$(BIN)/ruff format --check .

lint: setup  ## Check the code with ruff
	@$(BIN)/ruff check .

types: setup  ## Check the types with mypy, strict
	@$(BIN)/mypy

imports: setup  ## Check who may import whom
	@$(BIN)/lint-imports

bench: setup  ## Measure the numbers that the documents quote (needs no running stack; about twenty minutes)
	@$(BIN)/python -m benchmarks.demo_figures --runs 3
	@$(BIN)/python -m benchmarks.feature_parity

soak: setup  ## A million events on three real brokers with a fault every twenty seconds (about an hour); EVENTS=, RATE=, SEED=
	@$(BIN)/python -m tests.faults.soak --save $(if $(EVENTS),--events $(EVENTS),) $(if $(RATE),--rate $(RATE),) $(if $(SEED),--seed $(SEED),)

up: setup  ## Start the local stack, detached
	@$(BIN)/millstream up

down: setup  ## Stop the local stack
	@$(BIN)/millstream down

status: setup  ## Show every process of the local stack, its lag and its health
	@$(BIN)/millstream status

doctor: setup  ## Say what is missing on this machine and the command that mends it
	@$(BIN)/millstream doctor

clean:  ## Remove run state and build output (stops nothing: `make down` first)
	@rm -rf .millstream build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

distclean: clean  ## Remove the virtual environment and the caches as well
	@rm -rf $(VENV) .millstream-cache *.egg-info
