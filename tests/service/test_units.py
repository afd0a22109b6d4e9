"""The units as they are shipped: systemd understands every word of them, and says how much they keep out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vaultd.catalog.load import load, shipped_folder
from vaultd.config.model import Config

UNITS = Path(__file__).parents[2] / "systemd"
#: 1.1 is what is left: a network, sockets, a root folder that is the machine's, and no list of addresses.
EXPOSURE = 12


def _installed(folder: Path, *, user: bool = False) -> list[str]:
    """Copies whose program exists on this machine. An instance of the template stands for it."""
    for unit in sorted((UNITS / "user" if user else UNITS).glob("*.*")):
        if unit.suffix in {".service", ".socket"}:
            text = unit.read_text().replace("/opt/vaultd/bin/vaultd", str(Path(sys.executable).with_name("vaultd")))
            (folder / unit.name.replace("@", "@codex")).write_text(text)
    return [str(file) for file in sorted(folder.iterdir())]


@pytest.mark.parametrize("user", [False, True])
def test_systemd_verifies_every_unit(tool: Callable[[str], str], tmp_path: Path, user: bool) -> None:
    (folder := tmp_path / "units").mkdir()
    units = _installed(folder, user=user)
    words = [tool("systemd-analyze"), "verify", "--man=no", *(["--user"] if user else []), *units]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}  # a person's manager has one
    Path(env["XDG_RUNTIME_DIR"]).mkdir()
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert len(units) == (3 if user else 4)


@pytest.mark.parametrize("unit", ["vaultd.service", "vaultd-login@.service"])
def test_the_exposure_of_a_system_service_is_at_most_1_2(tool: Callable[[str], str], unit: str) -> None:
    words = [tool("systemd-analyze"), "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}"]
    done = subprocess.run([*words, str(UNITS / unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for .*: (0\.\d|1\.[012]) ", done.stdout), done.stdout


def test_both_services_share_user_folder_key_and_sandbox() -> None:
    """Two units with one StateDirectory= and different modes would change it under each other's hands."""
    daemon, login = (
        {line for line in (UNITS / name).read_text().splitlines() if "=" in line and not line.startswith("#")}
        for name in ("vaultd.service", "vaultd-login@.service")
    )
    own = (
        "Description",
        "Type",
        "ExecStart",
        "TimeoutStartSec",
        "InaccessiblePaths",
        "ExecPaths",
        "MemoryMax",
        "TasksMax",
    )
    assert {line for line in login - daemon if not line.startswith(own)} == set()


def test_every_vendors_callback_port_may_be_bound_and_none_else(tmp_path: Path) -> None:
    catalog = load(shipped_folder(), tmp_path, Config(), "")
    redirects = [p.oauth.redirect for id in catalog.sign_in_ids() if (p := catalog.provider(id)).oauth]  # noqa: A001
    ports = {redirect.port for redirect in redirects if redirect is not None and redirect.port}
    allowed = re.findall(r"^SocketBindAllow=tcp:(\d+)$", (UNITS / "vaultd.service").read_text(), re.MULTILINE)
    assert {int(port) for port in allowed} == ports | {Config().port}


def test_the_units_hold_no_other_path_than_the_one_that_is_replaced_at_an_installation() -> None:
    for unit in UNITS.rglob("*.service"):
        paths = re.findall(r"^Exec\w+=(\S+)", unit.read_text(), re.MULTILINE)
        assert {path for path in paths if not path.startswith("/opt/vaultd")} <= {"/", "/bin/kill"}
