# What a release is made of: docs/releasing.md says in which order.
.PHONY: wheel lock

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
