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

from vaultd.config.places import expanded
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
        self._env = env
        self.user = user
        #: As it is typed.
        self.systemctl = "systemctl --user" if user else "systemctl"

    @property
    def folder(self) -> Path:
        """Where a person's units lie."""
        given = self._env.get("XDG_CONFIG_HOME", "")
        # XDG Base Directory: a relative path in this variable is invalid and to be ignored.
        return (Path(given) if given.startswith("/") else expanded(self._env, "~/.config")) / "systemd" / "user"

    def require(self, command: str) -> None:
        """Raises Misconfigured where there is no such manager, or we may not speak to it."""
        self.require_running(command)
        if not self.user and os.geteuid() != 0:
            raise Misconfigured(f"this is root's to do: sudo {command}")

    def require_running(self, command: str) -> None:
        """Raises Misconfigured where there is no such manager, or it cannot be found."""
        if not self.user:
            if not Path("/run/systemd/system").is_dir():  # sd_booted(3)
                raise Misconfigured("no systemd runs here; run: vaultd serve")
        elif not _has_manager(self._env.get("XDG_RUNTIME_DIR", "")):
            usual = f"/run/user/{os.getuid()}"
            if _has_manager(usual):
                raise Misconfigured(
                    "XDG_RUNTIME_DIR does not name your own runtime folder, as after su or sudo -u; "
                    f"run: export XDG_RUNTIME_DIR={usual}; {command}"
                )
            raise Misconfigured(
                "no service manager of yours runs here; log in by a session of its own (machinectl shell, ssh), "
                "or let root run: loginctl enable-linger NAME"
            )

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
        except (FileNotFoundError, PermissionError):  # the second where a folder of PATH is another's, as after su
            raise Misconfigured(f"{command[0]} is not installed here") from None


def _has_manager(runtime: str) -> bool:
    """Whether a manager of ours has this runtime folder. su leaves another person's in the environment, or none."""
    folder = Path(runtime)
    try:
        return bool(runtime) and folder.stat().st_uid == os.getuid() and (folder / "systemd").is_dir()
    except OSError:
        return False


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
