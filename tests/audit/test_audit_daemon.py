"""What a daemon and the command line leave in the log, and what they refuse while none can be written (THR-39)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey
from managed import BASE, CLIENT_KEY, Managed, managed

from vaultd.cli.main import run
from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.net.local import call
from vaultd.server import admin
from vaultd.vault.audit_chain import Line
from vaultd.vault.credential import Credential


@pytest.fixture
async def page(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted) as one:
        await one.house.start()
        yield one


async def outcomes(page: Managed) -> list[tuple[str, str, str, str]]:
    """Who, what action, on what, with which outcome, since the daemon stands."""
    lines: list[Line] = await page.house.audit.last(100)
    return [(line.who, line.action, line.what, line.outcome) for line in lines if line.who != "daemon"]


async def test_a_change_is_announced_before_it_is_made_and_its_outcome_after_it(page: Managed) -> None:
    made = (await page.asks("POST", "/client-keys", {"alias": "laptop"})).json
    await page.asks("GET", f"/client-keys/{made['id']}?reveal=1")
    await page.asks("DELETE", "/client-keys/nobody")
    await page.asks("DELETE", f"/api-keys?value={CLIENT_KEY}")
    await page.asks("GET", "/client-keys")
    route = f"{BASE}/client-keys"
    mark = f"value={page.house.audit.mark(CLIENT_KEY)}"
    assert await outcomes(page) == [
        ("127.0.0.1", f"POST {route}", "", "asked"),
        ("127.0.0.1", f"POST {route}", made["id"], "done"),
        ("127.0.0.1", f"GET {route}/{{id}}", made["id"], "asked"),
        ("127.0.0.1", f"GET {route}/{{id}}", made["id"], "done"),
        ("127.0.0.1", f"DELETE {route}/{{id}}", "nobody", "asked"),
        ("127.0.0.1", f"DELETE {route}/{{id}}", "nobody", "refused"),
        ("127.0.0.1", f"DELETE {BASE}/api-keys", mark, "asked"),
        ("127.0.0.1", f"DELETE {BASE}/api-keys", f"{mark}, api-keys", "done"),
    ]
    assert "CANARY" not in page.house.audit.path.read_text()
    assert (await page.house.audit.verify()).sound


async def test_what_is_downloaded_says_who_took_it_and_stays_where_nobody_can_say_so(page: Managed) -> None:
    house, kept = page.house, "1700000000000-0123ab"
    async with house.owner.leased("codex-ada@example.com") as lease:
        await lease.put(Credential(id="codex-ada@example.com", provider="codex", kind="oauth", created_at=1.0))
    sealed = "/auth-files/download?name=codex-ada@example.com.json"
    assert (await page.asks("GET", sealed)).status == 200
    assert (await page.asks("GET", f"/request-logs/{kept}")).status == 404
    await page.asks("GET", "/auth-files")
    await page.asks("GET", "/request-logs")
    assert await outcomes(page) == [
        ("127.0.0.1", f"GET {BASE}/auth-files/download", "codex-ada@example.com.json", "asked"),
        ("127.0.0.1", f"GET {BASE}/auth-files/download", "codex-ada@example.com.json", "done"),
        ("127.0.0.1", f"GET {BASE}/request-logs/{{name}}", kept, "asked"),
        ("127.0.0.1", f"GET {BASE}/request-logs/{{name}}", kept, "refused"),
    ]
    house.audit.path.unlink()
    house.audit.path.mkdir()
    assert (await page.asks("GET", sealed)).status == 503


async def test_start_stop_reload_and_the_hashing_of_the_key_are_noted(page: Managed) -> None:
    await page.asks("PUT", "/debug", {"value": True})
    await page.restart()
    await page.house.start()
    noted = [line.action for line in await page.house.audit.last(100) if line.who == "daemon"]
    assert noted[0] == "daemon started"
    assert {"management key hashed", "configuration reloaded"} <= set(noted)
    assert noted[-2:] == ["daemon stopped", "daemon started"]


async def test_a_wrong_key_is_noted_with_its_peer(page: Managed) -> None:
    await page.asks("GET", "/debug", headers={"Authorization": "Bearer CANARY-wrong"})
    assert ("127.0.0.1", "access denied", "management key refused", "noted") in await outcomes(page)


async def test_a_sign_in_stands_there_with_who_began_it_and_what_came_of_it(page: Managed) -> None:
    begun = (await page.asks("POST", "/sign-ins", {"provider": "codex"})).json
    landed = await page.redirect_of(begun["url"])
    await page.browses(landed)
    while (told := (await page.asks("GET", f"/sign-ins/{begun['state']}")).json)["status"] == "wait":
        pass
    # The person hears of it first: a line takes a disk's time.
    while len(told_of := [row for row in await outcomes(page) if row[1] == "sign in"]) < 2:
        pass
    asked, done = told_of
    assert asked == ("127.0.0.1", "sign in", "codex", "asked")
    assert done == ("127.0.0.1", "sign in", told["credential"], "done")


async def test_the_admin_socket_says_whose_command_it_was(page: Managed) -> None:
    async with admin.listening(page.house) as path:
        made = await asyncio.to_thread(call, path, "keys.create", {"alias": "phone"})
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            await session.delete(f"http://localhost{BASE}/client-keys/{made['data']['id']}")
        shown: Any = await asyncio.to_thread(call, path, "audit.show", {"lines": 2})
        verified: Any = await asyncio.to_thread(call, path, "audit.verify", {})
    who = f"admin socket uid {os.getuid()}"
    assert [(row["who"], row["action"], row["outcome"]) for row in shown["data"]] == [
        (who, "keys.create", "done"),
        (who, f"DELETE {BASE}/client-keys/{{id}}", "done"),
    ]
    assert made["data"]["id"] in shown["data"][0]["what"]
    assert verified["sound"]


async def test_thr_39_what_leaves_sealed_says_to_whose_key_and_how_many_they_were(page: Managed) -> None:
    """Whoever reaches the admin socket may bring a key of his own."""
    theirs = ECKey.generate_key("P-256", private=False)
    many = [f"codex-ann-{number}@example.com" for number in range(40)]
    async with admin.listening(page.house) as path:
        sealed = {"recipient": theirs.as_dict(private=False)}
        await asyncio.to_thread(call, path, "backup", {"id": "0123456789abcdef", **sealed})
        with pytest.raises(Misconfigured):
            await asyncio.to_thread(call, path, "credentials.export", {"ids": many, **sealed})
    rows = [row[1:] for row in await outcomes(page)]
    assert ("backup", f"sealed to {theirs.thumbprint()}, 0123456789abcdef", "done") in rows
    ((_, what, _),) = [row for row in rows if row[0] == "credentials.export" and row[2] == "asked"]
    assert what.startswith(", ".join(many[:15]))
    told = what.count("@")
    assert what.endswith(f", and {40 - told} more"), "none is left out without a word"


async def test_thr_39_what_cannot_be_told_is_not_done_and_relaying_goes_on(page: Managed) -> None:
    """The log is a folder, as a disk that is full or read-only would have it: it cannot be written."""
    log = page.house.audit.path
    kept = log.rename(log.with_name("kept"))
    log.mkdir()
    before = page.house.config, sorted(page.files())
    for method, path, body in (
        ("PUT", "/debug", {"value": True}),
        ("POST", "/client-keys", {"alias": "laptop"}),
        ("POST", "/sign-ins", {"provider": "codex"}),
        ("DELETE", "/auth-files?all=true", None),
    ):
        told = await page.asks(method, path, body)
        assert (told.status, told.headers["Retry-After"]) == (503, "1")
        assert "nothing was changed" in told.json["error"]
    assert (page.house.config, sorted(page.files())) == before
    assert (await page.asks("GET", "/debug")).json == {"debug": False}
    models = await page.browses(f"{page.url}/v1/models", headers={"Authorization": f"Bearer {CLIENT_KEY}"})
    assert models.status == 200, "clients are served all the same"
    assert "audit-unwritable" in dict(page.house.audit.troubles())
    log.rmdir()
    kept.rename(log)
    assert (await page.asks("PUT", "/debug", {"value": True})).status == 200
    assert not dict(page.house.audit.troubles())
    assert (await page.house.audit.verify()).sound


@dataclass
class Person:
    """Types commands, in this process: a dozen of them as processes of their own would be a quarter of a minute."""

    folder: Path
    said: pytest.CaptureFixture[str]

    @property
    def log(self) -> Path:
        return self.folder / "state" / "vaultd" / "audit.log"

    def types(self, *words: str) -> tuple[int, str, str]:
        self.said.readouterr()
        code = run(words, serve=nobody)
        return (code, *self.said.readouterr())

    def asks(self, *words: str) -> Any:
        return json.loads(self.types(*words, "--json")[1])

    def codes(self) -> set[str]:
        return {row["code"] for row in self.asks("doctor")["checks"]}


async def nobody(_house: House, _host: str, _port: int) -> None:
    raise AssertionError("no daemon is asked for")


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name.partition("_")[0].lower()))
    one = Person(tmp_path, capsys)
    assert one.types("keys", "create", "laptop")[0] == 0
    return one


def test_the_command_line_proves_the_log_without_a_daemon_and_says_where_it_is_not_whole(person: Person) -> None:
    assert person.types("vault", "rotate")[0] == 0
    assert person.types("audit", "verify")[:2] == (0, f"{person.log}: whole, lines 1 to 4\n")
    rows = person.asks("audit", "show")["data"]
    assert [(row["action"], row["outcome"]) for row in rows] == [("keys.create", "done"), ("vault.rotate", "done")]
    assert {row["who"] for row in rows} == {f"command line uid {os.getuid()}"}
    data = person.log.read_bytes()
    person.log.write_bytes(data.replace(b"vault.rotate", b"vault.status", 1))
    code, out, _ = person.types("audit", "verify")
    assert code == 1
    assert "audit.log:3: altered, or never written by this vault" in out
    assert "NOT WHOLE" in out
    assert not person.asks("audit", "verify")["sound"]
    person.log.write_bytes(data)


def test_thr_39_a_command_on_the_folder_is_refused_as_well(person: Person) -> None:
    kept = person.log.rename(person.log.with_name("kept"))
    person.log.mkdir()
    keys = person.asks("keys", "list")
    for words in (("keys", "create", "phone"), ("vault", "rotate")):
        code, _, err = person.types(*words)
        assert code == 6
        assert "nothing was changed" in err
    assert person.asks("keys", "list") == keys
    assert "audit-unwritable" in person.codes()
    person.log.rmdir()
    kept.rename(person.log)
    assert not {"audit-unwritable", "audit-broken"} & person.codes()


def test_thr_39_a_tail_that_was_cut_off_is_found_by_doctor_until_it_is_accepted(person: Person) -> None:
    person.log.write_bytes(b"".join(person.log.read_bytes().splitlines(keepends=True)[:-1]))
    assert "audit-broken" in person.codes()
    assert person.types("keys", "create", "phone")[0] == 0, "work goes on"
    assert "audit-broken" in person.codes()
    code, out, err = person.types("audit", "accept")
    assert (code, "accepted: 1 findings" in out) == (0, True)
    assert "line 2 is missing" in err
    assert "audit-broken" not in person.codes()
    code, _, err = person.types("audit", "verify")
    assert code == 0
    assert "note: audit.log:2: line 2 is missing" in err
