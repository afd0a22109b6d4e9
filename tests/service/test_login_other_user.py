"""A person of the administrators' group signs in beside a service whose user he is not, over its 0660 socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from ports import own_callbacks
from service_manager import Manager
from vendors import vendors

#: Debian's `nogroup` and `nobody`; he may read our interpreter and its packages wherever they lie, and write nothing.
_GROUP = 65534
_PERSON = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.fixture
def service(home: dict[str, str]) -> Iterator[Manager]:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    with vendors() as sandbox:
        config = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"providers": own_callbacks(sandbox)}))
        folder = Path(home["XDG_RUNTIME_DIR"]) / "vaultd"
        folder.mkdir()
        manager = Manager(folder, home)
        os.chown(manager.admin_file, 0, _GROUP)
        manager.up()
        yield manager
        manager.leaves()


def _login(service: Manager, tmp_path: Path, *groups: str) -> subprocess.Popen[str]:
    elsewhere = {
        "HOME": str(tmp_path / "ann"),
        "XDG_RUNTIME_DIR": service.env["XDG_RUNTIME_DIR"],
        "PATH": "/usr/bin:/bin",
    }
    return subprocess.Popen(
        [*_PERSON, *groups, sys.executable, "-m", "vaultd", "login", "--codex", "--no-browser"],
        env=elsewhere,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def _follow(url: str) -> None:
    async with aiohttp.ClientSession() as browser, browser.get(url) as page:
        assert page.status == 200


def test_thr_44_one_of_the_group_signs_in_and_the_login_is_the_services(service: Manager, tmp_path: Path) -> None:
    login = _login(service, tmp_path, "--groups=65534")
    assert login.stdout is not None
    url = login.stdout.readline().strip()
    assert url.startswith("http"), login.communicate()
    asyncio.run(_follow(url))
    out, err = login.communicate(timeout=30)

    assert (login.returncode, out) == (0, "signed in: codex codex@example.com -> codex-codex@example.com\n"), err
    sealed = Path(service.env["XDG_STATE_HOME"]) / "vaultd" / "auth" / "codex-codex@example.com.json"
    assert sealed.stat().st_uid == os.getuid()
    assert not (tmp_path / "ann").exists()


def test_a_service_that_is_restarted_in_the_middle_ends_it_and_the_port_is_free(
    service: Manager, tmp_path: Path
) -> None:
    """The socket stays open meanwhile, so the next question goes to a daemon that has never heard of it."""
    login = _login(service, tmp_path, "--groups=65534")
    assert login.stdout is not None
    url = login.stdout.readline().strip()
    port = urlsplit(dict(parse_qsl(urlsplit(url).query))["redirect_uri"]).port

    service.ends(signal.SIGTERM)
    service.up()
    out, err = login.communicate(timeout=30)

    assert (login.returncode, out) == (6, "")
    assert err.endswith("; start the sign-in again\n")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
