# Every word a contributor needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs site links bench clients conformance fuzz crash race boot clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

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
	$(BIN)/pytest -n 2 $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, the layer law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

docs: $(VENV)/.dev ## write the generated pages of docs/
	$(BIN)/python -m vaultd.config.document
	$(BIN)/python -m vaultd.catalog.document
	$(BIN)/python -m vaultd.work.document
	$(BIN)/python -m vaultd.work.health.document
	$(BIN)/python -m vaultd.work.metrics.document
	$(BIN)/python -m vaultd.server.management.document
	$(BIN)/python -m vaultd.cli.document

site: $(VENV)/.dev ## docs/ as a site in build/site; a link that leads nowhere fails
	$(BIN)/sphinx-build -b html -c docs -W --keep-going -n -j 2 -q . build/site

links: $(VENV)/.dev ## asks the network whether the pages' links to elsewhere still lead somewhere
	$(BIN)/sphinx-build -b linkcheck -c docs -q . build/links

include release.mk

bench: $(VENV)/.dev ## relay cost beside a bare proxy (needs wrk and nginx)
	$(BIN)/python benchmarks/relay.py

clients: $(VENV)/.dev ## every real client in every arrangement, against a daemon in front of a fake upstream (needs npm)
	VAULTD_CLIENTS=core $(BIN)/pytest tests/clients tests/connect -s -rs

conformance: $(VENV)/.dev ## translation cases and recorded answers through a running daemon; the matrix in docs/
	VAULTD_WRITE_DOCS=1 $(BIN)/pytest tests/conformance -s -rs

fuzz: $(VENV)/.dev ## an hour of bent requests, answers and streams (ARGS="-k gemini" for a part)
	HYPOTHESIS_PROFILE=hour $(BIN)/pytest tests/fuzz --timeout 1200 $(ARGS)

crash: $(VENV)/.dev ## kills in mid-renewal, every system call struck, power cuts (KILLS=2000 of each; interrupted, it goes on; needs strace and root)
	KILLS=$(or $(KILLS),2000) $(BIN)/python benchmarks/crash.py $(ARGS)

boot: $(VENV)/.dev ## a Debian of its own boots systemd, an operator installs vaultd there, and the service is tried (KILLS=60; needs root, debootstrap and systemd-nspawn)
	KILLS=$(or $(KILLS),60) $(BIN)/python benchmarks/boot.py

race: $(VENV)/.dev ## sixteen processes, one login, EXPIRIES=1000: renewed once for each
	EXPIRIES=$(or $(EXPIRIES),1000) $(BIN)/pytest tests/work/test_renew_processes.py --timeout 3600

clean: ## what the other words made
	rm -rf $(VENV) dist build .tools .mypy_cache .ruff_cache .pytest_cache
