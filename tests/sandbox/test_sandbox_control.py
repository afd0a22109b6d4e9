"""The switches from outside the process, and the program by itself."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest


async def test_switches_and_faults_by_http(person):
    status, _ = await person.control(vendor="codex", set={"account": "eve@example.com", "access_seconds": 5})
    assert status == 200
    tokens = await person.sign_in("codex")
    assert tokens["expires_in"] == 5
    assert person.sandbox["codex"].families[0].account.email == "eve@example.com"
    await person.control(vendor="codex", fault={"at": "token", "do": "status", "status": 500})
    assert (await person.renew("codex", tokens["refresh_token"]))[0] == 500
    await person.control(vendor="codex", fault={"at": "token", "do": "status", "status": 500, "times": 0})
    await person.control(mend=True)
    assert (await person.renew("codex", tokens["refresh_token"]))[0] == 200


@pytest.mark.parametrize(
    "order",
    [
        {"vendor": "nobody"},
        {"vendor": "codex", "set": {"acount": "x"}},
        {"vendor": "codex", "set": {"consent": "maybe"}},
        {"vendor": "codex", "fault": {"at": "token", "do": "explode"}},
        {"vendors": "codex"},
    ],
)
async def test_a_misspelt_order_is_refused(person, order):
    status, refused = await person.control(**order)
    assert status == 400 and refused["error"]


async def test_the_report_counts_and_shows_no_secret(person):
    tokens = await person.sign_in("codex")
    _, tokens = await person.renew("codex", tokens["refresh_token"])
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "x-api-key": "CANARY"}
    async with person.http.post(person.endpoint("codex", "api") + "/responses", json={}, headers=headers):
        pass
    async with person.http.get(f"{person.sandbox.url}/_control") as reply:
        text = await reply.text()
    assert "CANARY" not in text
    said = json.loads(text)["vendors"]["codex"]
    assert said["counts"]["renewals"] == 1 and said["logins"][0]["renewals"] == 1
    assert sum(said["uses"].values()) >= 1
    assert dict(said["hits"][-1]["headers"])["Authorization"].startswith("Bearer sha256:")
    assert person.sandbox["codex"].hits[-1].header("authorization") == f"Bearer {tokens['access_token']}"


async def test_tokens_expire_logins_end_and_all_is_forgotten(person):
    tokens = await person.sign_in("invented")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    await person.control(vendor="invented", expire="invented@example.com")
    async with person.http.get(person.endpoint("invented", "userinfo"), headers=headers) as reply:
        assert reply.status == 401
    assert (await person.renew("invented", tokens["refresh_token"]))[0] == 200
    await person.control(vendor="invented", sign_out="*")
    assert not person.sandbox["invented"].families[0].alive
    await person.control(reset=True)
    assert person.sandbox["invented"].families == []


async def test_the_person_at_the_device_page_by_http(person):
    device = person.sandbox["kimi"].start_device(challenge="", scope="")
    other = person.sandbox["kimi"].start_device(challenge="", scope="")
    await person.control(vendor="kimi", approve=device.user_code, deny=other.user_code)
    assert (device.verdict, other.verdict) == ("approved", "denied")


async def test_the_program_prints_one_line_and_ends_on_sigterm(http):
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vaultd.sandbox", "--port", "0", "--lifetime", "3"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        said = json.loads(await program.stdout.readline())
        assert said["overlay"]["codex"]["endpoints"]["api"].startswith(said["url"])
        async with http.get(said["url"] + "/_control") as reply:
            assert (await reply.json())["vendors"]["codex"]["switches"]["access_seconds"] == 3
    finally:
        program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0
