"""Where a sign-in of this command happens: in the daemon that runs, in the packaged service, or in this process.

    a daemon answers                                 ▶ beside it, whoever asks (`remote_login`)
    none does                                        ▶ where `whose` says: here, or nowhere, or for root the service

Root never signs in to a folder of its own where there is a service: nobody would ever read it. That its daemon is
started, and not the flow run with the unit's properties copied, keeps one sandbox, one user and one writer, and there
is nothing to copy wrongly (a second unit on the same state folder resets its mode where it forgets to say it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vaultd.cli import whose
from vaultd.cli.ask import Call, look_for_daemon
from vaultd.errors import VaultdError

if TYPE_CHECKING:
    from vaultd.cli.desk import TerminalDesk
    from vaultd.work.sign_in import Way


@dataclass(frozen=True, slots=True)
class Vendor:
    """Whom one can sign in to. `ways`: the usual one first."""

    id: str
    name: str
    ways: tuple[Way, ...]
    sunset: str
    sunset_note: str


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for."""

    provider: str
    way: Way
    label: str
    projects: tuple[str, ...]
    timeout: float


class SignedIn(NamedTuple):
    provider: str
    known_as: str
    credential: str


class Place(Protocol):
    """Where it happens."""

    @property
    def vendors(self) -> Sequence[Vendor]: ...

    async def sign_in(self, order: Order, desk: TerminalDesk) -> SignedIn:
        """Raises what `work.sign_in` raises, wherever that runs."""
        ...


class Barred:
    """Nowhere: the reason names the one command to run."""

    def __init__(self, call: Call, reason: VaultdError) -> None:
        self.vendors = own_vendors(call)
        self._reason = reason

    async def sign_in(self, order: Order, desk: TerminalDesk) -> SignedIn:
        raise self._reason


def place_of(call: Call, args: Sequence[str]) -> Place:
    """`args`: what was typed after `login`."""
    from vaultd.cli.local_login import Here  # noqa: PLC0415 - start-up time
    from vaultd.cli.remote_login import Beside  # noqa: PLC0415

    helped = bool({"--help", "-h"} & set(args))
    try:
        socket = whose.place(call, look_for_daemon(call), plants=not helped)
    except VaultdError as reason:
        return Barred(call, reason)
    return Here(call) if socket is None else Beside(socket)


def own_vendors(call: Call) -> list[Vendor]:
    """Those of the configuration that this command line names."""
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415
    from vaultd.work.sign_in import ways  # noqa: PLC0415

    loaded = read(call.env, call.config)
    catalog = load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)
    providers = [catalog.provider(id_) for id_ in catalog.sign_in_ids()]
    return [Vendor(one.id, one.name or one.id, tuple(ways(one)), one.sunset, one.sunset_note) for one in providers]
