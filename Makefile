# Needs python3 (3.11 or newer), make and, for a clone, git. Everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The repository root holds a folder named `mailbox`, which must not hide the standard library's.
export PYTHONSAFEPATH := 1

# An installation is redone when what it was made from has changed, or the checkout has moved.
KEY := $(shell { cat pyproject.toml constraints.txt .ci/environment; pwd; $(PYTHON) -V; } | cksum | cut -d' ' -f1)
INSTALLED := $(VENV)/installed-$(KEY)
INSTALLED_DEV := $(VENV)/installed-dev-$(KEY)

.DEFAULT_GOAL := help
# Tests at a time: one more than two cores have, for some of them wait. WORKERS=2 is calmer and takes a little longer.
WORKERS ?= 3

.PHONY: help demo test lint types bench proof proof-pg soak soak-kill lock clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

$(INSTALLED):
	@echo "installing postroom into $(VENV) (once)"
	@PYTHON="$(PYTHON)" .ci/environment $(VENV) -e .
	@touch $@

$(INSTALLED_DEV):
	@echo "installing postroom and its development tools into $(VENV) (once)"
	@PYTHON="$(PYTHON)" .ci/environment $(VENV) -e '.[dev]'
	@touch $@ $(INSTALLED)

demo: $(INSTALLED) ## a manager and workers census this Python's standard library; one is killed half-way
	@$(BIN)/python examples/census.py --demo

lint: $(INSTALLED_DEV) ## ruff
	$(BIN)/ruff check

types: $(INSTALLED_DEV) ## mypy and pyright, both strict, over code, tests and examples
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

test: lint types ## everything a newcomer needs to trust it; under 5 minutes on two cores
	$(BIN)/pytest -q -n $(WORKERS) -m "not long"

test-all: lint types ## every test there is, as CI runs them; 7 minutes on two cores
	$(BIN)/pytest -q -n $(WORKERS)

bench: $(INSTALLED) ## measure this machine against a raw baseline; within 4 minutes
	@$(BIN)/postroom bench

proof: $(INSTALLED_DEV) ## break it in every way there is and count what is lost; within 25 minutes on two cores
	@$(BIN)/python tests/proof/run.py proof

proof-pg: $(INSTALLED_DEV) ## the same for PostgreSQL, its links and its users; within 15 minutes on two cores
	@$(BIN)/python tests/proof_pg/prove_pg.py

soak: $(INSTALLED_DEV) ## the same in large amounts: make soak HOURS=8; stop it and go on as you like
	@$(BIN)/python tests/proof/run.py soak --hours $(or $(HOURS),1)

soak-kill: $(INSTALLED) ## SIGKILL processes at random moments under load, 100 times; prints its counts
	@$(BIN)/python tests/soak/kill.py

lock: ## write constraints.txt anew from the newest versions that fit pyproject.toml
	rm -rf $(VENV) && sed -i '/==/d' constraints.txt
	PYTHON="$(PYTHON)" .ci/environment $(VENV) --upgrade -e '.[dev,peers]'
	$(BIN)/python -m pip list --format=freeze --exclude-editable | grep -v '^pip=' >> constraints.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
