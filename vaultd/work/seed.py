"""The configuration that a service begins with: handed in by systemd, written once, the daemon's from then on.

`/etc/vaultd/config.yaml` may be root's alone, for it may hold keys, and a sandbox has no shell to copy it with. systemd
reads it as the credential `vaultd-config` (`LoadCredential=`), and what is in there becomes the file that the daemon
reads and changes, unless there is one already.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vaultd.config import load, places
from vaultd.errors import Misconfigured
from vaultd.work.config_file import ConfigFile

_CREDENTIAL: Final = "vaultd-config"
#: What the unit hands in where there is no file: a credential without a default would keep the service from starting.
_NOTHING: Final = frozenset({b"", b"{}"})


async def seed(env: Mapping[str, str], config_option: str | None) -> None:
    """Raises Misconfigured for one that is no configuration: once written, mending it in /etc would be of no use."""
    data = _handed_in(env) if config_option is None else b""
    if data.strip() in _NOTHING:
        return
    found = places.find(env, None, None)
    if found.config_file is not None:
        return
    load.parse(data, f"the systemd credential {_CREDENTIAL} (/etc/vaultd/config.yaml)", [])
    file = ConfigFile(found.config_dir / "config.yaml")
    try:
        async with file.held():
            file.replace(data, None)
    except OSError as error:
        raise Misconfigured(f"{file.path}: cannot be written: {error.strerror}", code="config-unreadable") from error


def _handed_in(env: Mapping[str, str]) -> bytes:
    folder = env.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, _CREDENTIAL) if folder else None
    return file.read_bytes() if file is not None and file.exists() else b""
