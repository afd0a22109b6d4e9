"""systemd as `vaultd service` uses it: the system's, or one person's; and the root key, sealed to this machine.

The key is made in memory, goes to systemd-creds(1) by a pipe, and comes back sealed: to the TPM where there is one,
else to the host's own key. It is never in argv, in the environment or on a disk.
"""

from __future__ import annotations

import os
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured, TryLater

#: What the unit's `LoadCredentialEncrypted=` names.
KEY: Final = Path("/etc/credstore.encrypted/vaultd-root")
#: A dynamic user's state, as root sees it.
STATE: Final = Path("/var/lib/private/vaultd")
GROUP: Final = "vaultd-admin"
#: The service wants its sockets, and enabling it enables them (`Sockets=`, `Also=`).
UNITS: Final = ("vaultd.socket", "vaultd-admin.socket", "vaultd.service")
#: systemd's own limit for a start or stop job is 90 s.
_SECONDS: Final = 120.0


class Manager:
    """`user`: the person's own."""

    def __init__(self, env: Mapping[str, str], *, user: bool) -> None:
        self.user = user
        self.folder = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/"), ".config")) / "systemd" / "user"
        self._runtime = Path(env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") if user else Path("/run")
        #: As it is typed.
        self.systemctl = "systemctl --user" if user else "systemctl"

    def require(self, command: str) -> None:
        """Raises Misconfigured where there is no such manager, or we may not speak to it."""
        # sd_booted(3): the folder is there where systemd is the first process, or the person's manager runs.
        name = "systemd" if self.user else "systemd/system"
        if not (self._runtime / name).is_dir():
            whose = "no service manager of yours" if self.user else "no systemd"
            other = "log in by a session of its own (machinectl shell, ssh)" if self.user else "run: vaultd serve"
            raise Misconfigured(f"{whose} runs here; {other}")
        if not self.user and os.geteuid() != 0:
            raise Misconfigured(f"this is root's to do: sudo {command}")

    def tells(self, *words: str) -> str:
        """What systemctl answers, whatever its exit code says."""
        return self._run("systemctl", *(["--user"] if self.user else []), *words).stdout.strip()

    def does(self, *words: str) -> None:
        self.runs("systemctl", *(["--user"] if self.user else []), *words)

    @staticmethod
    def runs(*command: str) -> None:
        """Raises TryLater with what the program said."""
        done = Manager._run(*command)
        if done.returncode:
            why = " ".join(done.stderr.split()) or f"exit {done.returncode}"
            raise TryLater(f"{' '.join(command)}: {why}", own=True)

    @staticmethod
    def _run(*command: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - fixed words
        except FileNotFoundError:
            raise Misconfigured(f"{command[0]} is not installed here") from None


def seal_key() -> bool:
    """True where a new root key was made and sealed; False where there is one already."""
    from vaultd.vault.rootkey import generate  # noqa: PLC0415 - start-up time

    if KEY.exists():
        return False
    if (STATE / "auth" / ".vault").exists():
        raise Misconfigured(
            f"{STATE}/auth holds sealed files, and {KEY} is gone: a new key would open none of them. Seal the old one: "
            f"systemd-creds encrypt --name={KEY.name} - {KEY}"
        )
    secret = urlsafe_b64encode(generate().raw_value)
    command = ["systemd-creds", "encrypt", f"--name={KEY.name}", "--with-key=auto", "-", "-"]
    try:
        done = subprocess.run(command, input=secret, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - fixed words
    except FileNotFoundError:
        raise Misconfigured("systemd-creds is not installed here: systemd 250 or newer is needed") from None
    if done.returncode or not done.stdout:
        raise Misconfigured(f"systemd-creds: {' '.join(done.stderr.decode(errors='replace').split())}")
    KEY.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = KEY.with_name(f".{KEY.name}.{os.getpid()}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(done.stdout)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(KEY)
    return True
