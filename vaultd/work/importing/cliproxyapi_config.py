"""CLIProxyAPI's `config.yaml`: its vendor keys become sealed credentials, its client keys sealed client keys; the rest
is for the file itself, which starts vaultd as it is.

Read by the one reader there is (`config.load`), so that what is accepted here is what a start accepts. Keys of
`openai-compatibility` stay where they are: what they belong to is defined beside them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from vaultd.catalog.models import Catalog
from vaultd.config.load import parse
from vaultd.config.model import Config
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.work.importing.fields import Found
from vaultd.work.roster import from_config


@dataclass(frozen=True, slots=True)
class Contents:
    """`client_keys`: alias → key. `stays`: what is of use in the file alone."""

    vendor_keys: list[Found]
    client_keys: dict[str, Secret]
    stays: list[str]


def is_config(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def read(text: str, name: str, catalog: Catalog, *, now: float) -> Contents:
    """Raises Misconfigured naming the file and the key that is wrong."""
    config = parse(text, name, [])
    keys = [
        Found(replace(key, id="", source="file", created_at=now, settings=replace(key.settings, label=_tag(key))))
        for key in from_config(config)
        if key.key is not None and key.provider in catalog.key_ids() and not _is_compatible(config, key.provider)
    ]
    aliases = {f"cliproxyapi-{hashlib.sha256(key.encode()).hexdigest()[:8]}": Secret(key) for key in config.api_keys}
    stays = [f"openai-compatibility ({compat.name})" for compat in config.openai_compatibility]
    stays += [f"{key} ({value})" for key, value in _set_apart(config)]
    return Contents(keys, aliases, stays)


def _is_compatible(config: Config, provider: str) -> bool:
    return any(compat.name.lower() == provider for compat in config.openai_compatibility)


def _tag(key: Credential) -> str:
    """A key has no account: what it is, and where it is used, names it the same way each time."""
    assert key.key is not None
    return hashlib.sha256(f"{key.key.reveal()}\0{key.settings.base_url}".encode()).hexdigest()[:8]


def _set_apart(config: Config) -> list[tuple[str, str]]:
    """What a person who moves looks for first."""
    unsaid = Config()
    named = (("port", config.port, unsaid.port), ("host", config.host, unsaid.host))
    said = [(key, str(value)) for key, value, default in named if value != default]
    return said + ([("auth-dir", config.auth_dir)] if config.auth_dir else [])
