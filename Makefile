# `make` lists what one can do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What `make run` starts with; `make run WITH=` starts without demonstration data.
WITH ?= --demo

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench torture soak lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make the environment: dependencies with hashes, browser libraries

$(READY): requirements/dev.txt requirements/run.txt pyproject.toml frontend/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dothi needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=python3.11 or newer."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m dothi.web.vendor
	$(BIN)/python -m compileall -q dothi
	@touch $(READY)

run: $(READY) ## set up, start everything, print address, user and password
	@$(BIN)/dothi up $(WITH)

test: $(READY) ## all tests
	@$(BIN)/python -m tests.all

check: $(READY) ## ruff, pyright, floor order of imports, docs, packs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/dothi pack check
	$(BIN)/dothi pack test
	$(BIN)/python -m pytest tests/unit/test_docs.py tests/unit/packs tests/unit/kernel/test_i18n.py

bench: $(READY) ## figures against their floors, as JSON in bench/out
	$(BIN)/python -m bench

torture: $(READY) ## 200 kills at random instants under load (long)
	$(BIN)/python -m tests.kill.torture --kills 200

soak: $(READY) ## the wall unattended for 8 hours, through restarts and a cut (long)
	$(BIN)/python -m tests.browser.soak

lock: $(READY) ## write requirements/*.txt anew from *.in: hashes for all platforms, no addresses
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-annotate --no-header requirements/databases.in -c requirements/run.txt -o requirements/databases.txt

clean: ## remove what setup made (not the data)
	rm -rf $(VENV) node_modules frontend/node_modules dothi/web/static/vendor .hypothesis .ruff_cache .import_linter_cache
