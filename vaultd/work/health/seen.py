"""What of a house the checks look at. They are asked of a daemon and of a command on the folder alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.config.places import Places
from vaultd.net.clock import Clock
from vaultd.vault.audit import Audit
from vaultd.vault.clients import ClientKeys
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner
from vaultd.work.plan import Pool
from vaultd.work.renew import Renewer


class Daemon(Protocol):
    """That this house serves. `address` is "" until it listens."""

    @property
    def address(self) -> str: ...


class Keeper(Protocol):
    """`trouble`: why nothing can be renewed; empty where it can."""

    @property
    def trouble(self) -> str: ...


class Usage(Protocol):
    """`troubles`: code → sentence, of what the thread that writes it met."""

    @property
    def troubles(self) -> Mapping[str, str]: ...


class House(Protocol):
    """`troubles`: code → sentence, of what only the house itself sees. `warnings`: of configuration and manifests."""

    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def config(self) -> Config: ...
    @property
    def config_source(self) -> str: ...
    @property
    def places(self) -> Places: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def owner(self) -> Owner: ...
    @property
    def clients(self) -> ClientKeys: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def keeper(self) -> Keeper: ...
    @property
    def renewer(self) -> Renewer: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def daemon(self) -> Daemon | None: ...
    @property
    def troubles(self) -> Mapping[str, str]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
