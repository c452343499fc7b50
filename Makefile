# The verbs, the same for people and for CI. Each installs what it needs; a second run installs nothing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test check bench clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## Make .venv from the pinned lock (about 3 minutes and 3.5 GB, once)

$(INSTALLED): .locks/cpu.txt .locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Penstock needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the pinned packages into .venv"
	@grep '^torch==' .locks/cpu.txt | xargs $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps \
	  || { echo "pip does not find PyTorch's CPU build. Set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU"; \
	       echo "wheels (its install page names it) and run make again."; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r .locks/cpu.txt -r .locks/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)  ## Send a file of traffic through three tiers of real vLLM and show the bill
	@$(BIN)/penstock demo

test: $(INSTALLED)  ## Run all tests on real Redis, PostgreSQL, SQLite, Celery and vLLM
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## Lint, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## Run the benchmarks (some minutes on a quiet machine)
	$(BIN)/python benchmarks/throughput.py

clean:  ## Remove what the tools left; .venv stays
	rm -rf .mypy_cache .ruff_cache .hypothesis .pytest_cache .import_linter_cache
