# btcflow: `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUNTIME := $(VENV)/.runtime-installed
DEV     := $(VENV)/.dev-installed
export NUMBA_CACHE_DIR ?= $(CURDIR)/.numba_cache
export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.PHONY: help demo test fast full lint golden lock clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(RUNTIME) ## create .venv and run the main job on the simulated market; ends with a report to open
	@$(BIN)/btcflow run configs/demo.yaml

test: $(DEV) ## create .venv and run the tests (laws, oracles, one browser smoke)
	@$(BIN)/python -m pytest -m "not full"

fast: $(DEV) ## the inner loop: no vectorbt, no browser
	@$(BIN)/python -m pytest -m "not full and not vectorbt and not browser" -x

full: $(DEV) ## the tests and the long tier
	@$(BIN)/python -m pytest

lint: $(DEV) ## ruff (lint and format) and the strict type check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

golden: $(DEV) ## run the committed demo experiment again and show what moved
	@$(BIN)/python experiments/refresh.py
	@git --no-pager diff --stat -- experiments

lock: ## resolve the lock files again (needs uv)
	@sh locks.sh

clean: ## remove the environment, caches and runs
	rm -rf $(VENV) .numba_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis runs

# A half-made environment has no stamp: it is removed and built again. The stamp is written last.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 15); sys.exit(0 if ok else "btcflow needs Python 3.11 to 3.14, and $(PYTHON) is " + sys.version.split()[0] + ": try `make PYTHON=python3.13 ...`")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no ensurepip/venv: install it (Debian: apt install python3-venv) and try again"; exit 1; }
	@rm -rf $(VENV)
	@echo "creating $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUNTIME): $(VENV)/.made requirements.lock pyproject.toml
	@echo "installing btcflow (locked versions; one to three minutes the first time)" >&2
	@$(PIP) install --require-hashes --only-binary=:all: -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "installing the development tools" >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
