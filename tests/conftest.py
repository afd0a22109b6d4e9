"""What every test shares: an isolated home, the sandbox vendor, and the note of what a test planted in clear.

Everything a test writes lies below pytest's own temporary folder, so that the last test of the run can search it
all for `CANARY`, the word in every test token. A test that has to write one in clear itself (a plaintext file to
import, a config with a key) says so with `planted(path)`: the scan then expects the word there, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lanes import Lanes, begins, place
from shell import Daemon, Person

SHARED = Path(os.environ.get("VAULTD_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_configure(config: pytest.Config) -> None:
    # A key or a trap of the caller's environment must not reach a test.
    for name in ("VAULTD_ROOT_KEY", "VAULTD_CONFIG", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        os.environ.pop(name, None)
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.add_cleanup(begins(config.option.basetemp))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.nodeid))


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person on a fresh machine: own HOME and XDG folders, the tools of this one.

    The run folder's name is short: a unix socket's path has at most 107 bytes (unix(7)).
    """
    env = {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "XDG_STATE_HOME": str(tmp_path / "home" / ".local" / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("r", numbered=True)),
        "TMPDIR": str(tmp_path / "tmp"),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
    }
    for name in ("HOME", "TMPDIR"):
        Path(env[name]).mkdir(mode=0o700, parents=True)
    Path(env["XDG_RUNTIME_DIR"]).chmod(0o700)
    return env


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Note that a test itself wrote a CANARY into this file, in clear and on purpose."""
    notes = tmp_path_factory.getbasetemp() / "planted.txt"

    def note(path: Path) -> Path:
        with notes.open("a") as file:
            file.write(f"{path}\n")
        return path

    return note


@pytest.fixture
def serves() -> Iterator[Callable[..., Daemon]]:
    """`serves(person, "--host", …)` starts a daemon that ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(person: Person, *words: str) -> Daemon:
            daemon = Daemon(person, *words)
            stack.callback(daemon.ends)
            return daemon

        yield start


def _absent(what: str, variable: str) -> None:
    if os.environ.get(variable) == "1":
        pytest.fail(f"{what}, and {variable}=1 forbids skipping")
    pytest.skip(what)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings, benches and client scripts."""
    if not SHARED.is_dir():
        _absent(f"{SHARED} is not here (VAULTD_SHARED)", "VAULTD_REQUIRE_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """`tool("node")` is its path, or the test is skipped with the reason."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            _absent(f"{name} is not installed", "VAULTD_REQUIRE_TOOLS")
        return str(found)

    return find
