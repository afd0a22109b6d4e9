# What a release is made of: docs/releasing.md says in which order.
.PHONY: wheel lock image image-dry

# The moment of the commit: every date in an archive or an image is this one, so that two builds are the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1580601600)

wheel: $(VENV)/.dev ## sdist and wheel in dist/, the same bytes whoever builds this commit
	$(BIN)/python -m build --outdir dist .

# Every version and every hash, for all platforms at once.
LOCKED := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

lock: $(VENV)/.dev ## pin what the image installs and what builds it, by version and hash (ARGS=--upgrade takes newer ones)
	$(LOCKED) pyproject.toml --extra otel --output-file locks/runtime.txt $(ARGS)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(LOCKED) - --output-file locks/build.txt $(ARGS)

# Docker's own word, where there is an engine. The digest of the base is looked up at a release and given as BASE.
image: ## the image vaultd:latest, of this commit (BASE=python:3.11-slim-bookworm@sha256:… at a release; needs docker)
	docker build --build-arg BASE=$(or $(BASE),python:3.11-slim-bookworm) --build-arg COMMIT=$$(git rev-parse HEAD) \
		--build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) --tag vaultd:latest $(ARGS) .

image-dry: $(VENV)/.dev ## the same steps and the same command without an engine, in a Debian tree (root, debootstrap; three minutes)
	$(BIN)/python benchmarks/image.py $(ARGS)
