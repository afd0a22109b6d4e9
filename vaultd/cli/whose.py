"""Whose vault a command is about where no daemon answers: the one rule, for every command.

    a configuration is named, or a unit runs us      ▶ the vault of that
    somebody has a vault of his own                  ▶ his; root's own only where no service is installed
    the packaged service's socket is there           ▶ the service's, which is out of reach: the sentence says what to
                                                       run. For root a sign-in, or what else plants a secret, opens
                                                       the socket, which starts it
    else                                             ▶ his own, and only what plants a first secret makes one
                                                       (`verbs.PLANTS`, `login`, `serve`)

Nobody is given a vault for having asked about another one: a recovery key of an empty vault saves nobody's logins, and
a login in a folder that no daemon reads is a login lost.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from vaultd.cli.ask import Call, Looked, look_for_daemon
from vaultd.config.places import SYSTEM_SOCKET
from vaultd.errors import Misconfigured, TryLater, VaultdError
from vaultd.net import local

_SERVICE: Final = "vaultd.service"
_SOCKET: Final = "vaultd-admin.socket"
#: Opening a socket takes milliseconds; systemd's own limit for a start job is 90 s.
_SYSTEMCTL_SECONDS: Final = 90.0


def place(call: Call, found: Looked, *, plants: bool) -> Path | None:
    """The admin socket to ask at, or None: in this process, on the folder that the configuration says. Raises where it
    is neither, with what to run."""
    if found.socket is not None:
        return found.socket
    if _named(call):
        return None
    silence = found.silence.get(SYSTEM_SOCKET)
    if os.geteuid() == 0 and _installed():
        if silence != "silent" and plants:
            _open_socket()
            silence = None if isinstance(answer := local.knock(SYSTEM_SOCKET, local.STARTING_SECONDS), dict) else answer
            if silence is None:
                return SYSTEM_SOCKET
            raise _silent()
        raise _silent() if silence == "silent" else _stopped()
    if silence is None or has_vault(call):
        return None
    raise _out_of_reach(call, silence)


def own(call: Call) -> None:
    """Raises where `serve` would be a second daemon beside the packaged service, with a vault that nobody asked for."""
    if _named(call) or has_vault(call):
        return
    found = look_for_daemon(call)
    silence = found.silence.get(SYSTEM_SOCKET)
    if found.socket == SYSTEM_SOCKET or silence == "silent" or (os.geteuid() == 0 and _installed()):
        raise Misconfigured(
            f"this machine runs vaultd as a service ({_SERVICE}): `vaultd status` is about that one. For a daemon of"
            " your own name its configuration: vaultd serve --config FILE",
            code="service-unreached",
        )
    if silence is not None:
        raise _out_of_reach(call, silence)


def has_vault(call: Call) -> bool:
    from vaultd.config.load import read  # noqa: PLC0415 - start-up time
    from vaultd.vault.keyring import sealed_files_exist  # noqa: PLC0415

    return sealed_files_exist(read(call.env, call.config).places.auth_dir)


def _named(call: Call) -> bool:
    return bool(call.config or call.env.get("VAULTD_CONFIG") or call.env.get("STATE_DIRECTORY"))


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
        raise Misconfigured(
            f"{_SOCKET} cannot be started: {' '.join(done.stderr.split()) or 'systemctl says no more'}",
            code="service-unreached",
        )


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    # Found by PATH, as root's shell would.
    command = ["systemctl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=_SYSTEMCTL_SECONDS, check=False)  # noqa: S603


def _out_of_reach(call: Call, silence: local.Silence) -> VaultdError:
    if silence == "silent":
        return _silent()
    return _stopped() if silence == "nobody" else _forbidden(call)


def _silent() -> VaultdError:
    return TryLater(
        f"{SYSTEM_SOCKET} is open, and nobody has answered within {local.STARTING_SECONDS:.0f} s: "
        f"journalctl -u {_SERVICE} says why",
        own=True,
    )


def _stopped() -> VaultdError:
    return Misconfigured(f"the service is stopped: sudo systemctl start {_SOCKET}", code="service-unreached")


def _forbidden(call: Call) -> VaultdError:
    group = _group_of(SYSTEM_SOCKET)
    person = user(call.env)
    again = shlex.join(["vaultd", *call.words])
    if person in _members(group):
        says = f"you are in group {group} from your next login on; until then: sg {group} -c {again!r}"
    else:
        for_good = f"(for good: sudo usermod -aG {group} {person}, and log in again)"
        says = f"{SYSTEM_SOCKET} is for group {group}: sudo {again} {for_good}"
    return Misconfigured(says, code="service-unreached")


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


def user(env: Mapping[str, str]) -> str:
    """What the person is called on this machine."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return env.get("USER", "USER")
