# vaultd in a container: docs/container.md. What is checked without an engine, and how, stands there too.

# At a release the base is given with its digest: --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
# The moment of the commit, so that compiled files and archives are the same bytes whenever they are built.
ARG SOURCE_DATE_EPOCH=1580601600
# The commit, for `vaultd --version`: there is no history in here.
ARG COMMIT=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY locks/ locks/
# Every package by version and hash, as a wheel: nothing is compiled, nothing runs while it is installed.
RUN python -m venv tools \
    && tools/bin/pip install --require-hashes --no-deps --only-binary=:all: -r locks/build.txt \
    && python -m venv --without-pip /opt/vaultd \
    && tools/bin/pip --python /opt/vaultd/bin/python install --require-hashes --no-deps --only-binary=:all: -r locks/runtime.txt
# What .dockerignore lets through: what the wheel is made of.
COPY . .
RUN VAULTD_COMMIT="${COMMIT}" tools/bin/python -m hatchling build -t wheel \
    && tools/bin/pip --python /opt/vaultd/bin/python install --no-deps --no-index dist/*.whl

FROM ${BASE}
ARG COMMIT=""
LABEL org.opencontainers.image.title="vaultd" \
      org.opencontainers.image.description="Signs in to LLM vendors, keeps the tokens sealed, renews them ahead of expiry, and relays to them." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${COMMIT}"
# An init that passes signals on and takes in the keeper's orphans. Its version is Debian's, whose mirrors keep only the
# newest one.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
# No way to bring in more: what the base has of pip goes. The folders are vaultd's own, and a new volume takes over their mode.
RUN rm -rf /usr/local/bin/pip* /usr/local/bin/wheel* /usr/local/lib/python3.11/ensurepip /usr/local/lib/python3.11/site-packages/* \
    && install -d -m 0755 /etc/vaultd /run/secrets \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/vaultd /run/vaultd
COPY --from=builder /opt/vaultd /opt/vaultd
# CREDENTIALS_DIRECTORY: where an engine mounts secrets; the root key is the one named vaultd-root, never a variable.
ENV PATH=/opt/vaultd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    VAULTD_IN_CONTAINER=1 \
    CONFIGURATION_DIRECTORY=/etc/vaultd \
    STATE_DIRECTORY=/var/lib/vaultd \
    RUNTIME_DIRECTORY=/run/vaultd \
    CREDENTIALS_DIRECTORY=/run/secrets
VOLUME ["/var/lib/vaultd"]
WORKDIR /var/lib/vaultd
USER 10001:10001
EXPOSE 8317
STOPSIGNAL SIGTERM
# Over the admin socket; no vendor is asked. Not ready before the first sign-in: no engine restarts for that by itself.
HEALTHCHECK --interval=30s --timeout=6s --start-period=20s --retries=3 CMD ["/opt/vaultd/bin/vaultd", "health", "--ready"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/vaultd/bin/vaultd"]
CMD ["serve"]
