"""Every credential that may serve: the sealed ones of the folder and the keys that stand in the config, as one mapping.

A key in the config is a credential like any other, only never written. Its id is the provider's and a hash, so that it
stays the same over restarts and says nothing of the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from vaultd.config.model import Alias, Compat, CompatKey, Config, KeyEntry
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings


class Roster:
    """Joins a snapshot and a config; the same two give the same mapping, so that holders can compare by `is`."""

    def __init__(self) -> None:
        self._snapshot: Mapping[str, Credential] | None = None
        self._config: Config | None = None
        self._keys: dict[str, Credential] = {}
        self._joined: Mapping[str, Credential] = MappingProxyType({})

    def join(self, snapshot: Mapping[str, Credential], config: Config) -> Mapping[str, Credential]:
        if snapshot is self._snapshot and config is self._config:
            return self._joined
        if config is not self._config:
            self._keys = {credential.id: credential for credential in from_config(config)}
        self._snapshot, self._config = snapshot, config
        self._joined = MappingProxyType({**self._keys, **snapshot}) if self._keys else snapshot
        return self._joined


def from_config(config: Config) -> Iterator[Credential]:
    """The key credentials of `*-api-key` and `openai-compatibility`."""
    for provider, entries in (
        ("gemini-api-key", config.gemini_api_key),
        ("claude-api-key", config.claude_api_key),
        ("codex-api-key", config.codex_api_key),
    ):
        for entry in entries:
            yield _key(provider, entry, entry, Secret(entry.api_key))
    for compat in config.openai_compatibility:
        yield from _compat(compat)


def config_id(provider: str, key: str, base_url: str) -> str:
    """`<provider>-<12 hex>`: 48 bits keep apart the few keys one config holds."""
    digest = hashlib.sha256(f"{provider}\0{key}\0{base_url}".encode()).hexdigest()
    return f"{provider}-{digest[:12]}"


def _compat(compat: Compat) -> Iterator[Credential]:
    """One per key; an endpoint with no keys is asked without one. Entries of one name may differ in all else."""
    for entry in compat.api_key_entries or [CompatKey()]:
        yield _key(compat.name.lower(), entry, compat, Secret(entry.api_key) if entry.api_key else None)


def _key(provider: str, entry: KeyEntry | CompatKey, where: KeyEntry | Compat, key: Secret | None) -> Credential:
    """`entry` holds the key, `where` the address and the models: one and the same but for compatible endpoints."""
    return Credential(
        id=config_id(provider, entry.api_key, where.base_url),
        provider=provider,
        kind="key",
        key=key,
        settings=Settings(
            priority=entry.priority,
            weight=entry.weight,
            parallel=entry.max_parallel,
            excluded_models=tuple(where.excluded_models),
            proxy_url=Secret(entry.proxy_url) if entry.proxy_url else None,
            base_url=where.base_url,
            headers=where.headers,
            models=_aliases(where.models),
        ),
        source="config",
    )


def _aliases(models: list[Alias]) -> tuple[tuple[str, str], ...]:
    return tuple((model.name, model.alias or model.name) for model in models)
