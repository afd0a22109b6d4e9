"""Stories of `vaultd login` beside a daemon that runs: what is printed and how it ends is as without one, and the flow
is the daemon's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from shell import LONGEST, Daemon
from signing_in import CODE_VENDORS, House, Login, beside_a_daemon, follow, is_shut, redirect_of

from vaultd.net.holder import holder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Daemon]]:
    with beside_a_daemon(tmp_path_factory) as both:
        yield both


@pytest.fixture
async def house(running: tuple[House, Daemon]) -> AsyncIterator[House]:
    """Nobody is signed in, and nothing is wrong with a vendor."""
    house, _ = running
    for vendor in (*CODE_VENDORS, "qwen", "kimi"):
        house.sandbox.set(vendor, consent="open", projects=["sandbox-project"])
    yield house
    for one in await signs(house):
        await asks(house, "DELETE", f"/sign-ins/{one['state']}")


async def asks(house: House, method: str, path: str) -> Any:
    """The daemon itself, at its admin socket."""
    at = aiohttp.UnixConnector(f"{house.env['XDG_RUNTIME_DIR']}/vaultd/admin.sock")
    async with (
        aiohttp.ClientSession("http://localhost", connector=at) as session,
        session.request(method, f"/v0/management{path}") as answer,
    ):
        return await answer.json()


async def signs(house: House) -> list[Any]:
    """The daemon's sign-ins, the newest first."""
    return list((await asks(house, "GET", "/sign-ins"))["data"])


async def address(login: Login) -> str:
    """The address alone on its line; what is known then is that the daemon has begun."""
    line = await login.line()
    assert line.startswith("http"), (await login.end(), login.err)
    return line


class Terminal:
    """A terminal of its own, at which the login's questions are asked."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.openpty()
        self.said = ""

    async def until(self, words: str) -> None:
        loop = asyncio.get_running_loop()
        while words not in self.said:
            ready = asyncio.Event()
            loop.add_reader(self.ours, ready.set)
            try:
                async with asyncio.timeout(LONGEST):
                    await ready.wait()
            finally:
                loop.remove_reader(self.ours)
            self.said += os.read(self.ours, 4096).decode()

    def types(self, line: str) -> None:
        os.write(self.ours, line.encode() + b"\n")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    one = Terminal()
    yield one
    os.close(one.ours)
    os.close(one.theirs)


async def test_the_daemon_waits_for_the_answer_and_the_terminal_prints_the_same_two_lines(
    house: House, running: tuple[House, Daemon]
) -> None:
    login = await house.login("--codex", "--no-browser", "--qr", SSH_CONNECTION="203.0.113.9 50514 192.0.2.7 22")
    url = await address(login)
    assert holder(socket.AF_INET, house.ports["codex"]).startswith(f"pid {running[1].process.pid} ")

    page = await follow(url)

    assert "can be closed" in page
    assert await login.end() == 0
    assert login.out[1:] == ["signed in: codex codex@example.com -> codex-codex@example.com"]
    assert f"ssh -L {house.ports['codex']}:127.0.0.1:{house.ports['codex']} " in login.err
    assert login.err.count("█") > 100
    assert await is_shut(house.ports["codex"])
    sealed = house.auth_dir / "codex-codex@example.com.json"
    assert "CANARY" not in f"{login.out} {login.err} {sealed.read_text()}"


async def test_sec_26_what_is_pasted_is_judged_by_the_daemon_and_a_wrong_line_changes_nothing(house: House) -> None:
    login = await house.login("--claude", "--no-browser")
    url = await address(login)
    await login.type("")
    await login.type("http://localhost/elsewhere?code=CANARY-x&state=y")
    await login.err_until("path should be /callback")
    await login.type(await redirect_of(url))

    assert await login.end() == 0
    assert login.out[1:] == ["signed in: claude claude@example.com -> claude-claude@example.com"]


async def test_a_script_that_took_the_address_and_left_hears_that_the_login_is_there(house: House) -> None:
    login = await house.login(
        "--codex", "--no-browser", within=("bash", "-c", 'set -o pipefail; "$@" | exec head -1', "bash")
    )
    await follow(await address(login))

    assert (await login.end(), len(login.out)) == (0, 1)
    assert "Traceback" not in login.err
    assert (await signs(house))[0]["status"] == "ok"


async def test_the_code_from_claudes_page_is_pasted(house: House) -> None:
    login = await house.login("--claude", "--paste-page")
    page = await follow(await address(login))
    found = re.search(r"[A-Za-z0-9._~-]+#[A-Za-z0-9_-]{43}", page)
    assert found is not None
    await login.type(found[0])

    assert await login.end() == 0


async def test_a_device_login_prints_address_and_code_on_two_lines(house: House) -> None:
    login = await house.login("--qwen", "--label", "me@work", stdin=asyncio.subprocess.DEVNULL)
    page, code = await address(login), await login.line()
    assert page == f"{house.sandbox.url}/qwen/device?user_code={code}"
    await follow(page)

    assert await login.end() == 0
    assert login.out[2:] == ["signed in: qwen me@work -> qwen-me@work"]
    assert "never enter a code that somebody sent you" in login.err


async def test_what_the_daemon_asks_is_asked_on_the_terminal(house: House, terminal: Terminal) -> None:
    house.sandbox.set("gemini", projects=["one", "two"])
    login = await house.login("--gemini", "--no-browser", stdin=terminal.theirs, stderr=terminal.theirs)
    await follow(await address(login))
    await terminal.until("number or name: ")
    terminal.types("three")
    await terminal.until("three is none of these")
    terminal.types("2")

    assert await login.end() == 0
    assert re.search(r"\r\x1b\[Kwaiting for the browser 14:\d\d", terminal.said)
    assert "closed by the vendor on" in terminal.said
    row = await asks(house, "GET", f"/credentials/{login.out[-1].rpartition(' ')[2]}")
    assert row["projects"] == ["two"]


async def test_a_terminal_that_closes_at_the_last_question_loses_no_login(house: House, terminal: Terminal) -> None:
    login = await house.login("--kimi", stdin=terminal.theirs, stderr=terminal.theirs)
    await follow(await address(login))
    await terminal.until("call this account: ")

    login.process.send_signal(signal.SIGHUP)

    assert await login.end() == 129
    await terminal.until("ends this sign-in by itself")
    assert [one["status"] for one in await signs(house) if one["provider"] == "kimi"] == ["asking"]


async def test_with_nobody_to_ask_the_defaults_stand(house: House) -> None:
    house.sandbox.set("gemini", projects=["one", "two"])
    login = await house.login("--gemini", "--no-browser", stdin=asyncio.subprocess.DEVNULL)
    await follow(await address(login))

    assert await login.end() == 0
    row = await asks(house, "GET", f"/credentials/{login.out[-1].rpartition(' ')[2]}")
    assert row["projects"] == ["one"]


async def test_denied_is_exit_3(house: House) -> None:
    house.sandbox.set("codex", consent="deny")
    login = await house.login("--codex", "--no-browser")
    await follow(await address(login))

    assert await login.end() == 3
    assert "access_denied" in login.err


async def test_sec_25_nobody_comes_is_exit_4(house: House) -> None:
    login = await house.login("--codex", "--no-browser", "--timeout", "0.5")

    assert await login.end() == 4
    assert "start it again" in login.err
    assert await is_shut(house.ports["codex"])


async def test_sec_12_the_port_taken_and_stdin_at_its_end_is_exit_5(house: House) -> None:
    with closing(socket.create_server(("127.0.0.1", house.ports["codex"]))):
        login = await house.login("--codex", "--no-browser", stdin=asyncio.subprocess.DEVNULL)
        assert await login.end() == 5
    assert f"is taken by pid {os.getpid()}" in login.err


async def test_the_vendor_fails_is_exit_6(house: House) -> None:
    house.sandbox.fault("codex", at="token", do="status", status=503)
    login = await house.login("--codex", "--no-browser")
    await follow(await address(login))

    assert await login.end() == 6


async def test_a_way_the_vendor_has_not_is_exit_2_and_begins_nothing(house: House) -> None:
    before = len(await signs(house))
    login = await house.login("--claude", "--device")

    assert await login.end() == 2
    assert "--paste-page" in login.err
    assert len(await signs(house)) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
async def test_sec_25_whoever_gives_up_frees_the_daemons_port(house: House, number: signal.Signals, code: int) -> None:
    login = await house.login("--codex", "--no-browser")
    await address(login)
    assert not await is_shut(house.ports["codex"])

    login.process.send_signal(number)

    assert await login.end() == code
    assert await is_shut(house.ports["codex"])
    assert (await signs(house))[0]["error"] == "cancelled"
    assert "Traceback" not in login.err


async def test_two_terminals_sign_in_to_two_vendors_and_of_one_vendor_the_newer_counts(house: House) -> None:
    given_up = await house.login("--codex", "--no-browser")
    await address(given_up)
    codex, claude = await house.login("--codex", "--no-browser"), await house.login("--claude", "--no-browser")

    assert await given_up.end() == 5
    assert "a newer sign-in to the same vendor has taken its place" in given_up.err
    for login in (codex, claude):
        await follow(await address(login))
        assert await login.end() == 0


async def test_the_vendors_are_the_daemons_whatever_ones_own_configuration_says(
    house: House, running: tuple[House, Daemon], tmp_path: Path
) -> None:
    """Whoever may use the socket need not be able to read the daemon's files."""
    whole = json.loads(house.config.read_text())
    overlaid = whole | {"providers": whole["providers"] | {"codex": whole["providers"]["codex"] | {"name": "House"}}}
    elsewhere = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    house.config.write_text(json.dumps(overlaid))
    running[1].says("configuration reloaded")
    try:
        login = await house.login("--help", **elsewhere)
        assert await login.end() == 0
        assert "Sign in to House." in "\n".join(login.out)
    finally:
        house.config.write_text(json.dumps(whole))
        running[1].says("configuration reloaded")
    assert list(tmp_path.glob("*")) == []  # noqa: ASYNC240 - nobody else waits


async def test_a_daemon_that_ends_ends_the_login_with_exit_6(tmp_path_factory: pytest.TempPathFactory) -> None:
    with beside_a_daemon(tmp_path_factory) as (house, daemon):
        login = await house.login("--codex", "--no-browser")
        await address(login)
        daemon.process.send_signal(signal.SIGTERM)
        assert await login.end() == 6
        await asyncio.to_thread(daemon.process.wait)
        assert ("sign in", "refused", "cancelled") in house.audited()
    assert "start the sign-in again" in login.err
