"""Where things lie: configuration, credentials, root key, drop-in manifests, admin socket. Decides; opens nothing.

The environment comes in as a mapping, so that a test is a dictionary. systemd's variables (`CONFIGURATION_DIRECTORY`,
`STATE_DIRECTORY`, `RUNTIME_DIRECTORY`) are colon-separated lists (systemd.exec(5)); the first entry is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vaultd.config.model import Config
from vaultd.errors import Misconfigured

#: Where the packaged service puts its socket, for a command typed by a person with an environment of their own.
SYSTEM_SOCKET = Path("/run/vaultd/admin.sock")


def in_container(env: Mapping[str, str]) -> bool:
    """Said by the image. What is listened on is the container's own network then: who publishes a port decides whom it
    reaches, and on the container's loopback nobody could be reached at all."""
    return env.get("VAULTD_IN_CONTAINER") == "1"


@dataclass(frozen=True, slots=True)
class Places:
    #: None where there is no such file, which is fine: then everything has its default.
    config_file: Path | None
    config_dir: Path
    state_dir: Path
    auth_dir: Path
    providers_dir: Path
    key_file: Path
    #: None where no prices are configured.
    prices_file: Path | None
    #: Most particular first. A daemon makes the first; a command tries those that exist.
    admin_sockets: tuple[Path, ...]
    #: For what the credentials' folder does not take, best first: a disk outlives a restart of the machine, and the
    #: runtime folder is in memory, which is not full when a disk is.
    emergency: tuple[Path, ...]

    def rehearsed(self, folder: Path) -> Places:
        """The same configuration, with all that is kept in `folder`."""
        return replace(self, state_dir=folder, auth_dir=folder / "auth", key_file=folder / "root.key", emergency=())


def find(env: Mapping[str, str], config_option: str | None, config: Config | None) -> Places:
    """Raises Misconfigured where a named file does not exist. Relative paths in the file start at its own folder."""
    config_file, there = _config_file(env, config_option)
    folder = config_file.parent
    state = _folder(env, "STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
    settings = config or Config()

    def place(written: str, default: Path) -> Path:
        return folder / expanded(env, written) if written else default

    runtimes = []
    if service := _first(env.get("RUNTIME_DIRECTORY", "")):
        runtimes.append(Path(service))
    if session := env.get("XDG_RUNTIME_DIR"):
        runtimes.append(Path(session, "vaultd"))
    sockets = [folder / "admin.sock" for folder in (*runtimes, state)]
    if config_option is None:
        sockets.append(SYSTEM_SOCKET)
    return Places(
        config_file=config_file if there else None,
        config_dir=folder,
        state_dir=state,
        auth_dir=place(settings.auth_dir, state / "auth"),
        providers_dir=place(settings.providers_dir, folder / "providers"),
        key_file=place(settings.vault.key_file, folder / "root.key"),
        prices_file=place(settings.usage.prices_file, folder) if settings.usage.prices_file else None,
        admin_sockets=tuple(sockets),
        emergency=(state / "emergency", *(folder / "emergency" for folder in runtimes[:1])),
    )


def _config_file(env: Mapping[str, str], option: str | None) -> tuple[Path, bool]:
    """Where it is to lie, and whether it does."""
    for named, by in ((option, "--config"), (env.get("VAULTD_CONFIG"), "VAULTD_CONFIG")):
        if named:
            path = expanded(env, named).absolute()
            if not _exists(path):
                raise Misconfigured(f"{path}: no such file, but {by} names it", code="config-missing")
            return path, True
    path = _folder(env, "CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config") / "config.yaml"
    return path, _exists(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder that is shut to us, as a container may be given one
        raise Misconfigured(f"{path}: cannot be looked up: {error.strerror}", code="config-unreadable") from error


def _folder(env: Mapping[str, str], service: str, xdg: str, below_home: str) -> Path:
    if given := _first(env.get(service, "")):
        return Path(given)
    base = env.get(xdg, "")
    # XDG Base Directory: a relative path in these variables is invalid and to be ignored.
    return (Path(base) if base.startswith("/") else _home(env) / below_home) / "vaultd"


def _first(paths: str) -> str:
    return paths.partition(":")[0]


def _home(env: Mapping[str, str]) -> Path:
    try:
        return Path(env["HOME"]) if env.get("HOME") else Path.home()
    except RuntimeError as error:  # a uid without a line in passwd(5), as containers have
        raise Misconfigured(
            "there is no HOME: set it, or XDG_CONFIG_HOME and XDG_STATE_HOME", code="home-missing"
        ) from error


def expanded(env: Mapping[str, str], written: str) -> Path:
    if written == "~" or written.startswith("~/"):
        return _home(env) / written[2:]
    return Path(written)
