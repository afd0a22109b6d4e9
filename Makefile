# Every word a contributor needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs wheel bench clients fuzz clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/vaultd: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(BIN)/vaultd

demo: $(BIN)/vaultd ## the whole job on a pretend vendor: sign in, seal, renew, relay (ARGS=--once ends by itself)
	$(BIN)/vaultd demo $(ARGS)

test: $(VENV)/.dev ## all tests; what needs apt or npm is skipped with its reason
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, the layer law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

docs: $(VENV)/.dev ## write the generated pages of docs/
	$(BIN)/python -m vaultd.config.document
	$(BIN)/python -m vaultd.catalog.document
	$(BIN)/python -m vaultd.work.document

wheel: $(VENV)/.dev ## sdist and wheel in dist/
	$(BIN)/python -m build --outdir dist .

bench: $(VENV)/.dev ## relay cost beside a bare proxy (needs wrk and nginx)
	$(BIN)/python benchmarks/relay.py

clients: $(VENV)/.dev ## real clients against a daemon in front of a fake upstream (needs npm)
	$(BIN)/python -m pytest tests/clients --no-header -rs

clean: ## what the other words made
	rm -rf $(VENV) dist build .tools .mypy_cache .ruff_cache .pytest_cache
