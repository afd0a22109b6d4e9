"""Where a sign-in of this command happens: in the daemon that runs, in the packaged service, or in this process.

    a daemon answers                                 ▶ beside it, whoever asks (`remote_login`)
    a configuration is named, or a unit runs us      ▶ here
    the service's socket is there and says nothing   ▶ nowhere, and the sentence says what to run
    root, the service is installed and stopped       ▶ its admin socket is opened, which starts it; then beside it
    else                                             ▶ here, in a folder of one's own

Root never signs in to a folder of its own where there is a service: nobody would ever read it. That its daemon is
started, and not the flow run with the unit's properties copied, keeps one sandbox, one user and one writer, and there
is nothing to copy wrongly (a second unit on the same state folder resets its mode where it forgets to say it).
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from vaultd.cli.ask import Call, look_for_daemon
from vaultd.config.places import SYSTEM_SOCKET
from vaultd.errors import Misconfigured, TryLater, VaultdError
from vaultd.net import local

if TYPE_CHECKING:
    from vaultd.cli.desk import TerminalDesk
    from vaultd.work.sign_in import Way

_SERVICE: Final = "vaultd.service"
_SOCKET: Final = "vaultd-admin.socket"
#: Opening a socket takes milliseconds; systemd's own limit for a start job is 90 s.
_SYSTEMCTL_SECONDS: Final = 90.0


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
    """`args`: what was typed after `login`, for the command that is proposed instead."""
    from vaultd.cli.local_login import Here  # noqa: PLC0415 - start-up time
    from vaultd.cli.remote_login import Beside  # noqa: PLC0415

    found = look_for_daemon(call)
    if found.socket is not None:
        return Beside(found.socket)
    if call.config or call.env.get("VAULTD_CONFIG") or call.env.get("STATE_DIRECTORY"):
        return Here(call)
    silence = found.silence.get(SYSTEM_SOCKET)
    if silence == "silent":
        return Barred(call, _silent())
    if os.geteuid() == 0:
        if not _installed():
            return Here(call)
        if not {"--help", "-h"} & set(args):
            _open_socket()
            answer = local.knock(SYSTEM_SOCKET, local.STARTING_SECONDS)
            return Barred(call, _silent()) if isinstance(answer, str) else Beside(SYSTEM_SOCKET)
    elif silence is not None and not _has_own_vault(call):
        return Barred(call, _stopped() if silence == "nobody" else _forbidden(call.env, args))
    return Here(call)


def own_vendors(call: Call) -> list[Vendor]:
    """Those of the configuration that this command line names."""
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415
    from vaultd.work.sign_in import ways  # noqa: PLC0415

    loaded = read(call.env, call.config)
    catalog = load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)
    providers = [catalog.provider(id_) for id_ in catalog.sign_in_ids()]
    return [Vendor(one.id, one.name or one.id, tuple(ways(one)), one.sunset, one.sunset_note) for one in providers]


def _has_own_vault(call: Call) -> bool:
    from vaultd.config.load import read  # noqa: PLC0415 - start-up time

    return (read(call.env, call.config).places.auth_dir / ".vault").is_dir()


def _installed() -> bool:
    """Whether this machine runs by systemd (sd_booted(3)) and has the packaged service."""
    if not Path("/run/systemd/system").is_dir():
        return False
    try:
        return _systemctl("show", "--property=LoadState", "--value", _SERVICE).stdout.strip() == "loaded"
    except OSError:
        return False


def _open_socket() -> None:
    done = _systemctl("start", _SOCKET)
    if done.returncode:
        raise Misconfigured(f"{_SOCKET} cannot be started: {' '.join(done.stderr.split()) or 'systemctl says no more'}")


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    # Found by PATH, as root's shell would.
    command = ["systemctl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=_SYSTEMCTL_SECONDS, check=False)  # noqa: S603


def _silent() -> VaultdError:
    return TryLater(
        f"{SYSTEM_SOCKET} is open, and nobody has answered within {local.STARTING_SECONDS:.0f} s: "
        f"journalctl -u {_SERVICE} says why",
        own=True,
    )


def _stopped() -> VaultdError:
    return Misconfigured(f"the service is stopped: sudo systemctl start {_SOCKET}")


def _forbidden(env: Mapping[str, str], args: Sequence[str]) -> VaultdError:
    group = _group_of(SYSTEM_SOCKET)
    person = _name(env)
    again = shlex.join(["vaultd", "login", *args])
    if person in _members(group):
        return Misconfigured(f"you are in group {group} from your next login on; until then: sg {group} -c {again!r}")
    return Misconfigured(
        f"{SYSTEM_SOCKET} is for group {group}: sudo {again} "
        f"(for good: sudo usermod -aG {group} {person}, and log in again)"
    )


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "vaultd-admin"


def _members(group: str) -> Sequence[str]:
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def _name(env: Mapping[str, str]) -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return env.get("USER", "USER")
