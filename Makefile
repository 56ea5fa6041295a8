# `make` alone lists the targets. Everything happens inside .venv; nothing is installed elsewhere.
# PYTHON=/path/to/python3 chooses the interpreter, JOBS=4 the number of test processes.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
# pip takes its versions from here, also for what builds the package.
export PIP_CONSTRAINT := constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Simulate a few galaxies, fit them, write tables and figures to demo/
	$(BIN)/isolux demo --out demo/

test: $(VENV)/.dev ## Run all tests (PYTEST_ARGS='-k sersic' chooses)
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

lint: $(VENV)/.dev ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## Run the benchmarks, each beside its opponent (BENCH_ARGS=...)
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

clean: ## Remove caches and demo/ (not .venv)
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Installs happen again only when a file that they depend on is newer than the stamp.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $@ $(VENV)/.runtime

# The first interpreter that is new enough and can make an environment; a half-made one is removed.
$(VENV)/bin/python:
	@tried=; \
	for python in $${PYTHON:-python3.11 python3.12 python3.13 python3}; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$python"; \
	  "$$python" -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); \
	  tried="$$tried $$python"; \
	done; \
	if [ -n "$$tried" ]; then \
	  echo "These cannot make virtual environments:$$tried." \
	    "Install Python's venv module (Debian and Ubuntu: the package python3-venv)." >&2; \
	else \
	  echo "Isolux needs Python 3.11 or newer; none was found among:" \
	    "$${PYTHON:-python3.11 python3.12 python3.13 python3}." >&2; \
	fi; \
	echo "To use another interpreter: make PYTHON=/path/to/python3 ..." >&2; \
	exit 1
