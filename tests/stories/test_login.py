"""Stories of `vaultd login`: two outputs, one exit code, one sealed file."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from signing_in import CODE_VENDORS, House, follow, is_shut, redirect_of

from vaultd.cli.desk import ssh_line
from vaultd.sandbox import Sandbox

SUNSET = {"gemini", "iflow", "qwen"}


@pytest.fixture
async def house(home: dict[str, str]) -> AsyncIterator[House]:
    async with Sandbox() as sandbox:
        yield House(sandbox, home)


@pytest.mark.parametrize("name", CODE_VENDORS)
async def test_opening_the_printed_address_signs_in(house: House, name: str) -> None:
    login = await house.login(f"--{name}", "--no-browser")
    await follow(await login.line())

    assert await login.end() == 0
    assert login.out[1:] == [f"signed in: {name} {name}@example.com -> {name}-{name}@example.com"]
    assert house.sealed() == [f"{name}-{name}@example.com.json"]
    file = house.auth_dir / house.sealed()[0]
    assert file.stat().st_mode & 0o777 == 0o600
    assert house.auth_dir.stat().st_mode & 0o777 == 0o700
    assert "CANARY" not in f"{login.out} {login.err} {file.read_text()}"
    assert await is_shut(house.ports[name])


async def test_a_device_login_prints_address_and_code_on_two_lines(house: House) -> None:
    login = await house.login("--qwen", "--label", "me@work")
    address, code = await login.line(), await login.line()
    assert address == f"{house.sandbox.url}/qwen/device?user_code={code}"
    await follow(address)

    assert await login.end() == 0
    assert login.out[2:] == ["signed in: qwen me@work -> qwen-me@work"]
    assert "never enter a code that somebody sent you" in login.err


async def test_codex_by_device(house: House) -> None:
    login = await house.login("--codex", "--device")
    page, code = await login.line(), await login.line()
    await follow(f"{page}?user_code={code}")

    assert await login.end() == 0
    assert login.out[-1] == "signed in: codex codex@example.com -> codex-codex@example.com"


async def test_sec_12_sec_26_a_pasted_address_signs_in_while_another_program_has_the_port(house: House) -> None:
    with closing(socket.create_server(("127.0.0.1", house.ports["codex"]))):
        login = await house.login("--codex", "--no-browser")
        await login.type(await redirect_of(await login.line()))
        assert await login.end() == 0

    assert f"is taken by pid {os.getpid()}" in login.err
    assert house.sealed() == ["codex-codex@example.com.json"]


async def test_sec_12_the_port_taken_and_stdin_at_its_end_is_exit_5(house: House) -> None:
    with closing(socket.create_server(("127.0.0.1", house.ports["codex"]))):
        login = await house.login("--codex", "--no-browser", stdin=asyncio.subprocess.DEVNULL)
        assert await login.end() == 5

    assert "is taken by pid" in login.err
    assert house.sealed() == []


async def test_stdin_at_its_end_ends_only_the_paste(house: House) -> None:
    login = await house.login("--codex", "--no-browser", stdin=asyncio.subprocess.DEVNULL)
    await follow(await login.line())

    assert await login.end() == 0


async def test_the_code_from_claudes_page_is_pasted(house: House) -> None:
    login = await house.login("--claude", "--paste-page")
    page = await follow(await login.line())
    found = re.search(r"[A-Za-z0-9._~-]+#[A-Za-z0-9_-]{43}", page)
    assert found is not None
    await login.type(found[0])

    assert await login.end() == 0
    assert len(login.out) == 2


async def test_denied_is_exit_3(house: House) -> None:
    house.sandbox.set("codex", consent="deny")
    login = await house.login("--codex", "--no-browser")
    page = await follow(await login.line())

    assert await login.end() == 3
    assert "access_denied" in login.err
    assert "refused" in page
    assert house.sealed() == []


@pytest.mark.parametrize("verdict", ["deny", "expire"])
async def test_a_device_code_denied_or_expired_is_exit_3(house: House, verdict: str) -> None:
    house.sandbox.set("qwen", device=verdict)

    login = await house.login("--qwen", "--no-browser")

    assert await login.end() == 3


async def test_sec_25_nobody_comes_is_exit_4(house: House) -> None:
    login = await house.login("--codex", "--no-browser", "--timeout", "0.5")

    assert await login.end() == 4
    assert "start it again" in login.err
    assert await is_shut(house.ports["codex"])


async def test_the_vendor_fails_is_exit_6(house: House) -> None:
    house.sandbox.fault("codex", at="token", do="status", status=503, times=0)
    login = await house.login("--codex", "--no-browser")
    await follow(await login.line())

    assert await login.end() == 6


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((), "--codex"),
        (("--nobody",), "--nobody"),
        (("--codex", "--claude"), "one vendor at a time"),
        (("--claude", "--device"), "--paste-page"),
        (("--qwen", "--paste-page"), "--device"),
        (("--codex", "--timeout", "0"), "timeout"),
    ],
)
async def test_a_wrong_command_line_is_exit_2_and_says_what_is_right(
    house: House, args: tuple[str, ...], word: str
) -> None:
    login = await house.login(*args)

    assert await login.end() == 2
    assert word in login.err
    assert login.out == []


async def test_a_wrong_configuration_is_exit_78(house: House) -> None:
    house.config.write_text("prot: 8317\n")
    login = await house.login("--codex")

    assert await login.end() == 78
    assert "port" in login.err


async def test_a_dropped_in_manifest_has_its_flag_and_says_what_it_is(house: House) -> None:
    folder = Path(house.env["HOME"]) / "providers"
    folder.mkdir()
    (folder / "acme.yaml").write_text(
        "id: acme\nname: Acme Models\n"
        "oauth: {flow: code, client-id: x, redirect: {port: 17171, path: /cb}}\n"
        "endpoints: {authorize: https://a.example/a, token: https://a.example/t, api: https://a.example/v1}\n"
        "api: {formats: [openai-chat]}\n"
        "models: [{id: acme-1}]\n"
    )
    house.config.write_text(f"providers-dir: {folder}\n")
    login = await house.login("--help")

    assert await login.end() == 0
    assert "Sign in to Acme Models." in "\n".join(login.out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_sec_25_a_signal_shuts_the_port_and_leaves_nothing(
    house: House, number: signal.Signals, code: int
) -> None:
    login = await house.login("--codex", "--no-browser")
    await login.line()
    assert not await is_shut(house.ports["codex"])

    login.process.send_signal(number)

    assert await login.end() == code
    assert await is_shut(house.ports["codex"])
    assert house.sealed() == []
    assert house.audited()[-1] == ("sign in", "refused", "cancelled")
    assert "Traceback" not in login.err


async def test_sec_07_the_browser_gets_the_address_and_stdout_only_the_result(house: House, tmp_path: Path) -> None:
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text('#!/bin/sh\nprintf "%s\\n" "$1" > "$HOME/opened"\n')
    opener.chmod(0o755)

    login = await house.login("--codex", PATH=f"{opener.parent}:/usr/bin:/bin", DISPLAY=":0")
    await login.err_until("open this address:\nhttp")
    await follow((Path(house.env["HOME"]) / "opened").read_text().strip())

    assert await login.end() == 0
    assert login.out == ["signed in: codex codex@example.com -> codex-codex@example.com"]


async def test_sec_27_over_ssh_the_tunnel_is_one_line_built_from_the_connection(house: House) -> None:
    login = await house.login("--codex", "--no-browser", SSH_CONNECTION="203.0.113.9 50514 192.0.2.7 2222")
    await follow(await login.line())
    assert await login.end() == 0

    port = house.ports["codex"]
    lines = [line for line in login.err.splitlines() if "ssh -L" in line]
    assert len(lines) == 1
    assert re.search(rf"ssh -L {port}:127\.0\.0\.1:{port} \S+@192\.0\.2\.7 -p 2222$", lines[0])


@pytest.mark.parametrize(
    "connection", ["", "garbage", "1 2 3", "a b $(id) 22", "203.0.113.9 50514 192.0.2.7 22;id", "a b c d"]
)
def test_sec_27_no_line_is_made_of_what_is_no_connection(connection: str) -> None:
    assert ssh_line({"SSH_CONNECTION": connection}, 1455) == ""


def test_sec_27_no_line_without_a_port_to_carry() -> None:
    assert ssh_line({"SSH_CONNECTION": "203.0.113.9 50514 192.0.2.7 22"}, None) == ""


async def test_a_qr_code_goes_to_stderr(house: House) -> None:
    login = await house.login("--codex", "--no-browser", "--qr")
    await follow(await login.line())

    assert await login.end() == 0
    assert login.err.count("█") > 100
    assert len(login.out) == 2


async def test_on_a_terminal_the_time_left_is_counted_and_a_name_asked_for(house: House) -> None:
    ours, theirs = os.openpty()
    login = await house.login("--kimi", stdin=theirs, stderr=theirs)
    os.close(theirs)
    await follow(await login.line())
    await login.line()
    said = ""
    while "call this account: " not in said:
        said += (await asyncio.to_thread(os.read, ours, 4096)).decode()
    os.write(ours, b"at work\n")

    assert await login.end() == 0
    os.close(ours)
    assert re.search(r"\r\x1b\[Kwaiting for the browser 14:\d\d", said)
    assert login.out[-1] == "signed in: kimi at work -> kimi-at-work"
    assert house.sealed() == ["kimi-at-work.json"]


async def test_piped_nothing_is_counted(house: House) -> None:
    login = await house.login("--codex", "--no-browser", "--timeout", "0.5")

    assert await login.end() == 4
    assert "\r" not in login.err
    assert "waiting" not in login.err


async def test_sec_41_nothing_said_holds_a_device_code(house: House) -> None:
    login = await house.login("--xai", "--no-browser")
    await follow(await login.line())

    assert await login.end() == 0
    codes = list(house.sandbox["xai"].devices)
    assert codes
    assert not any(code in f"{login.out} {login.err}" for code in codes)
