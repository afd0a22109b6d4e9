# What a release is made of: docs/releasing.md says in which order.
.PHONY: wheel lock image image-dry sbom licenses advisories installs

# The moment of the commit: every date in an archive or an image is this one, so that two builds are the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1580601600)

build/builder/.done: locks/build.txt
	rm -rf build/builder && $(PYTHON) -m venv build/builder
	build/builder/bin/pip install --quiet --require-hashes --no-deps --only-binary=:all: -r locks/build.txt
	@touch $@

wheel: build/builder/.done ## sdist and wheel in dist/, the same bytes whoever builds this commit
	build/builder/bin/python -m hatchling build -t sdist -t wheel

# Every version and every hash, for all platforms at once.
LOCKED := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

lock: $(VENV)/.dev ## pin what the image installs and what builds it, by version and hash (ARGS=--upgrade takes newer ones)
	$(LOCKED) pyproject.toml --extra otel --output-file locks/runtime.txt $(ARGS)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(LOCKED) - --output-file locks/build.txt $(ARGS)

# Docker's own word, where there is an engine. The digest of the base is looked up at a release and given as BASE.
image: ## the image vaultd:latest, of this commit (BASE=python:3.11-slim-bookworm@sha256:… at a release; needs docker)
	docker build --build-arg BASE=$(or $(BASE),python:3.11-slim-bookworm) \
		--build-arg COMMIT=$$($(PYTHON) -c 'import vaultd; print(vaultd.commit())') \
		--build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) --tag vaultd:latest $(ARGS) .

image-dry: $(VENV)/.dev ## the same steps and the same command without an engine, in a Debian tree (root, debootstrap; one minute, two the first time)
	$(BIN)/python benchmarks/image.py $(ARGS)

# What the image holds, and nothing else: where the list of licences and the bill of materials are read off.
build/locked/.done: locks/runtime.txt $(VENV)/.dev
	rm -rf build/locked && $(BIN)/python -m venv build/locked
	build/locked/bin/pip install --quiet --require-hashes --no-deps --only-binary=:all: -r locks/runtime.txt
	build/locked/bin/pip uninstall --quiet --yes pip setuptools
	@touch $@

sbom: build/locked/.done ## bill of materials of the image's packages (CycloneDX) in dist/
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
		--output-file dist/vaultd.cdx.json build/locked/bin/python

licenses: build/locked/.done ## write docs/licenses.md
	$(BIN)/python release/licenses.py build/locked/bin/python

advisories: $(VENV)/.dev ## has a locked package a known hole? Says so where no source of advisories can be reached
	$(BIN)/python release/advisories.py

installs: wheel ## the wheel by pipx, by uv tool and with the oldest packages it allows; the demo run by each
	rm -rf build/installs && mkdir -p build/installs/pipx build/installs/uv build/installs/oldest
	$(BIN)/python -m venv build/installs/tool && build/installs/tool/bin/pip install --quiet pipx
	HOME=$(CURDIR)/build/installs/pipx build/installs/tool/bin/pipx install --quiet dist/*.whl
	HOME=$(CURDIR)/build/installs/uv UV_TOOL_BIN_DIR=$(CURDIR)/build/installs/uv/.local/bin $(BIN)/uv tool install --quiet dist/*.whl
	$(BIN)/uv venv --quiet --python $(PYTHON) build/installs/oldest/.local
	$(BIN)/uv pip install --quiet --python build/installs/oldest/.local --resolution lowest-direct dist/*.whl
	for by in pipx uv oldest; do env -i HOME=$(CURDIR)/build/installs/$$by XDG_RUNTIME_DIR=$(CURDIR)/build/installs/$$by PATH=/usr/bin:/bin \
		build/installs/$$by/.local/bin/vaultd demo --once || exit 1; done
