"""Credential files come in by upload, in clear or sealed, and go out sealed; the pool has them at once."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from desk import login
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from managed import KEY, Managed, Told, managed

from vaultd.vault.credential import Credential
from vaultd.work.exporting import token_file

NAMES = ("claude", "codex", "gemini", "iflow", "qwen")


@pytest.fixture
async def page(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted) as one:
        yield one


def plaintext(page: Managed, vendor: str, email: str = "ann@example.com", **more: Any) -> dict[str, Any]:
    """A live login of the vendor's in CLIProxyAPI's words."""
    known = login(page.sandbox, vendor, email, page.house.clock.now())
    file = token_file(known, page.house.catalog.provider(vendor))
    if vendor == "gemini":
        file["project_id"] = "sandbox-project"
    return file | more


async def uploads(page: Managed, name: str, content: Any) -> Told:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await page.asks("POST", "/auth-files", params={"name": name}, data=data, headers=JSON)


async def downloads(page: Managed, name: str) -> Told:
    return await page.asks("GET", "/auth-files/download", params={"name": name})


async def listed(page: Managed) -> dict[str, Any]:
    return {file["name"]: file for file in (await page.asks("GET", "/auth-files")).json["files"]}


def only(page: Managed) -> Credential:
    (credential,) = page.house.owner.snapshot().values()
    return credential


JSON = {"Content-Type": "application/json"}


# --- in ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", NAMES)
async def test_a_file_in_cliproxyapis_format_is_sealed_and_serves_at_once(page: Managed, vendor: str) -> None:
    file = plaintext(page, vendor)

    told = await uploads(page, f"{vendor}-mine.json", file)

    assert (told.status, told.json["status"]) == (200, "ok")
    assert list(await listed(page)) == [f"{vendor}-mine.json"]
    for data in page.files().values():
        assert b"CANARY" not in data and b'"ciphertext"' in data
    models = {"claude": "claude-sonnet-4-5", "codex": "gpt-5", "gemini": "gemini-2.5-pro", "iflow": "glm-4.6"}
    answered = await page.chats(models.get(vendor, "qwen3-coder-plus"))
    assert answered.status == 200, answered.text


async def test_a_form_brings_several_files_or_none(page: Managed) -> None:
    form = aiohttp.FormData()
    for vendor in ("codex", "claude"):
        form.add_field("file", json.dumps(plaintext(page, vendor)).encode(), filename=f"{vendor}.json")
    assert (await page.asks("POST", "/auth-files", data=form)).json["status"] == "ok"
    assert sorted(await listed(page)) == ["claude.json", "codex.json"]

    bad = aiohttp.FormData()
    bad.add_field("file", json.dumps(plaintext(page, "qwen")).encode(), filename="qwen.json")
    bad.add_field("file", b"{}", filename="nothing.json")
    assert (await page.asks("POST", "/auth-files", data=bad)).status == 400
    assert sorted(await listed(page)) == ["claude.json", "codex.json"]


async def test_the_list_has_every_field_that_programs_read(page: Managed) -> None:
    await uploads(page, "work.json", plaintext(page, "gemini", proxy_url=""))
    file = (await listed(page))["work.json"]
    assert {
        "name": "work.json",
        "type": "gemini",
        "provider": "gemini-cli",
        "status": "active",
        "status_message": "",
        "disabled": False,
        "unavailable": False,
        "runtime_only": False,
        "source": "file",
        "email": "ann@example.com",
        "account_type": "oauth",
        "account": "ann@example.com",
        "label": "ann@example.com",
    }.items() <= file.items()
    assert file["size"] == len(page.files()[Path(file["path"]).name])
    assert {"id", "created_at", "modtime", "updated_at", "last_refresh"} <= file.keys()


async def test_the_uploaded_name_outlives_restart_renewal_and_a_new_sign_in(page: Managed) -> None:
    await uploads(page, "home.json", plaintext(page, "codex", "codex@example.com"))
    (id_,) = page.house.owner.snapshot()
    assert (await page.asks("POST", f"/credentials/{id_}/refresh")).status == 200
    await page.restart()
    assert list(await listed(page)) == ["home.json"]

    told = (await page.asks("GET", "/codex-auth-url")).json
    await page.browses(told["url"])
    async with asyncio.timeout(20):
        while (await page.asks("GET", f"/get-auth-status?state={told['state']}")).json["status"] == "wait":  # noqa: ASYNC110 - a page polls too
            await asyncio.sleep(0.01)
    again = [file for file in (await listed(page)).values() if file["id"] == id_]
    assert [file["name"] for file in again] == ["home.json"]


async def test_the_same_account_replaces_and_another_never_does(page: Managed) -> None:
    await uploads(page, "a.json", plaintext(page, "claude"))
    first = only(page)
    await page.asks("PATCH", "/auth-files/fields", {"name": "a.json", "priority": 7})
    await uploads(page, "b.json", plaintext(page, "claude"))
    second = only(page)
    assert (second.id, second.settings.priority) == (first.id, 7)
    assert second.tokens != first.tokens
    assert list(await listed(page)) == ["b.json"]

    told = await uploads(page, "b.json", plaintext(page, "claude", "ben@example.com"))
    assert (told.status, only(page)) == (409, second)
    assert second.id in told.json["error"]
    own = await uploads(page, f"{second.id}.json", plaintext(page, "claude", "ben@example.com"))
    assert own.status == 409
    assert (await uploads(page, "c.json", plaintext(page, "claude", "ben@example.com"))).status == 200
    assert sorted(await listed(page)) == ["b.json", "c.json"]


async def test_a_file_without_a_name_in_it_is_known_by_its_own(page: Managed) -> None:
    for _ in range(2):
        await uploads(page, "qwen-17.json", plaintext(page, "qwen") | {"email": ""})
    await uploads(page, "qwen-18.json", plaintext(page, "qwen") | {"email": ""})
    assert sorted(await listed(page)) == ["qwen-17.json", "qwen-18.json"]
    assert sorted(page.house.owner.snapshot()) == ["qwen-17", "qwen-18"]


async def test_a_file_whose_token_was_spent_here_since_is_refused(page: Managed) -> None:
    """A script that uploads the same file every night must not log the account out."""
    file = plaintext(page, "claude", last_refresh="2026-01-02T03:04:05Z")
    await uploads(page, "x.json", file)
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    renewed = only(page)

    for name in ("x.json", "y.json"):
        told = await uploads(page, name, file)
        assert (told.status, only(page)) == (409, renewed), told.text
        assert "renewed since" in told.json["error"]

    await uploads(page, "x.json", plaintext(page, "claude", last_refresh="2126-01-02T03:04:05Z"))
    assert (only(page).id, only(page).account.person) == (renewed.id, renewed.account.person)
    assert only(page).tokens != renewed.tokens
    assert (await page.asks("POST", f"/credentials/{renewed.id}/refresh")).status == 200
    assert page.sandbox["claude"].counts["reuse_events"] == 0


async def test_a_file_that_comes_while_its_login_is_renewed_does_not_bring_back_the_spent_token(page: Managed) -> None:
    file = plaintext(page, "claude", last_refresh="2026-01-02T03:04:05Z")
    await uploads(page, "x.json", file)
    vendor, owner = page.sandbox["claude"], page.house.owner
    page.sandbox.fault("claude", at="token", do="delay", seconds=0.5)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        renewal = group.create_task(page.asks("POST", f"/credentials/{only(page).id}/refresh"))
        while not vendor.counts["requests:token"]:  # noqa: ASYNC110 - the vendor has no bell
            await asyncio.sleep(0.01)
        upload = await uploads(page, "x.json", file)

    assert renewal.result().status == 200
    assert (upload.status, "renewed since" in upload.text) == (409, True), upload.text
    assert len(owner.snapshot()) == 1
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    assert vendor.counts["presented:spent"] == 0


async def test_of_several_accounts_that_come_by_one_name_at_once_one_has_it(page: Managed) -> None:
    files = [plaintext(page, "claude", f"{name}@example.com") for name in ("ann", "ben", "cat")]
    told = await asyncio.gather(*(uploads(page, "x.json", file) for file in files))
    assert sorted(one.status for one in told) == [200, 409, 409]
    assert list(await listed(page)) == ["x.json"]


async def test_a_dead_login_that_came_as_a_file_is_brought_back_by_signing_in(page: Managed) -> None:
    """The file had an email alone, and the vendor never told its ids: it is the same account all the same."""
    await uploads(page, "x.json", plaintext(page, "claude", "claude@example.com", expired="2026-01-02T03:04:05Z"))
    page.sandbox["claude"].sign_out()
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 409
    assert (await listed(page))["x.json"]["status"] == "error"

    told = (await page.asks("GET", "/anthropic-auth-url")).json
    await page.browses(told["url"])
    held = page.house.sign_ins.get(told["state"])
    assert held is not None
    async with asyncio.timeout(20):
        while held.waits:  # noqa: ASYNC110 - a page polls too
            await asyncio.sleep(0.01)

    assert (only(page).dead, only(page).account.person != "") == (None, True)
    assert (await listed(page))["x.json"]["status"] == "active"


# --- sealed files come back -------------------------------------------------------------------------------------------


async def test_a_downloaded_file_is_the_sealed_one_and_comes_back(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    kept = await downloads(page, "x.json")
    assert kept.status == 200
    assert list(page.files().values()) == [kept.body]
    assert kept.headers["Content-Disposition"] == 'attachment; filename="x.json"'
    before = only(page)
    assert (await uploads(page, "x.json", kept.body)).status == 200  # nothing new in it
    assert only(page) == before

    assert (await page.asks("DELETE", "/auth-files?name=x.json")).json == {"status": "ok", "deleted": 1}
    assert page.files() == {}
    assert (await downloads(page, "x.json")).json == {"error": "file not found"}
    assert (await uploads(page, "y.json", kept.body)).status == 200
    assert only(page).tokens == before.tokens
    assert list(await listed(page)) == ["y.json"]
    assert (await page.chats("gpt-5")).status == 200


async def test_a_sealed_file_that_was_overtaken_is_refused(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    old = await downloads(page, "x.json")
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    newest = only(page)

    told = await uploads(page, "x.json", old.body)

    assert (told.status, only(page)) == (409, newest)
    assert "rolled back" in told.json["error"]
    assert page.sandbox["codex"].counts["reuse_events"] == 0
    await page.asks("DELETE", "/auth-files?all=1")
    await page.restart()
    assert (await uploads(page, "x.json", old.body)).status == 409
    assert not page.house.owner.snapshot()


async def test_a_sealed_file_of_another_vault_or_damaged_is_refused(page: Managed, home: dict[str, str]) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    kept = (await downloads(page, "x.json")).body
    await page.asks("DELETE", "/auth-files?all=true")
    file = json.loads(kept)
    stranger = {**file, "recipients": [{**file["recipients"][0], "header": {"alg": "A256KW", "kid": "stranger"}}]}
    header = json.loads(base64.urlsafe_b64decode(file["protected"] + "=="))
    header["vaultd"]["name"] = "../x.json"
    renamed = {**file, "protected": base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()}
    for spoilt in (stranger, renamed, {**file, "tag": "AAAA"}, {**file, "protected": "!"}, {**file, "more": 1}):
        told = await uploads(page, "x.json", spoilt)
        assert told.status == 400, told.text
    assert page.files() == {}


# --- hostile ----------------------------------------------------------------------------------------------------------

NO_NAMES = [
    "",
    "x",
    "x.txt",
    ".json",
    "../x.json",
    "..%2Fx.json",
    "a/../../x.json",
    "..\\x.json",
    "/etc/x.json",
    "x\0.json",
    "x.json\n",
    "x.json\r\nSet-Cookie: a=b",
    "käse.json",
    "x\u202e.json",
    "．．／x.json",
    "-x.json",
    ".vault.json",
    "a" * 300 + ".json",
    'x".json',
]


async def test_thr_17_no_name_leaves_the_folder(page: Managed) -> None:
    before = sorted(page.house.owner.folder.parent.rglob("*.json"))
    recipient, file = ECKey.generate_key().as_dict(private=False), plaintext(page, "codex")
    for name in NO_NAMES:
        answers = [
            await uploads(page, name, file),
            await downloads(page, name),
            await page.asks("DELETE", "/auth-files", params={"name": name}),
            await page.asks("PATCH", "/auth-files/status", {"name": name, "disabled": True}),
            await page.asks("PATCH", "/auth-files/fields", {"name": name, "priority": 1}),
            await page.asks("POST", "/auth-files/export", {"name": name, "recipient": recipient}),
        ]
        assert (name, {told.status for told in answers}) == (name, {400})
    form = aiohttp.FormData()
    form.add_field("file", json.dumps(file).encode(), filename="../x.json")
    assert (await page.asks("POST", "/auth-files", data=form)).status == 400
    assert sorted(page.house.owner.folder.parent.rglob("*.json")) == before


HOSTILE: dict[str, Any] = {
    "no JSON": b"\x00\x01CANARY",
    "no UTF-8": b'{"type": "codex", "access_token": "\xff"}',
    "no object": b'["CANARY"]',
    "twice the same": b'{"type": "codex", "access_token": "CANARY-a", "access_token": "CANARY-b"}',
    "twice the same within": b'{"type": "gemini", "token": {"access_token": "CANARY-a", "access_token": "CANARY-b"}}',
    "deep": b'{"type": "codex", "access_token": "CANARY", "x": ' + b"[" * 60_000,
    "NaN": b'{"type": "codex", "access_token": "CANARY", "x": NaN}',
    "unknown type": {"type": "chat", "access_token": "CANARY"},
    "type of another type": {"type": ["codex"], "access_token": "CANARY"},
    "vertex": {"type": "vertex", "service_account": {"private_key": "CANARY"}},
    "no token": {"type": "codex", "email": "ann@example.com"},
    "token of another type": {"type": "codex", "access_token": {"CANARY": 1}},
    "a header within": {"type": "codex", "access_token": "CANARY\r\nX-Evil: 1"},
    "a space within": {"type": "codex", "access_token": "CANARY b"},
    "long token": {"type": "codex", "access_token": "CANARY" * 2000},
    "long email": {"type": "codex", "access_token": "CANARY", "email": "a" * 400},
    "escape in email": {"type": "codex", "access_token": "CANARY", "email": "a\u001b[2J@example.com"},
    "direction in email": {"type": "codex", "access_token": "CANARY", "email": "a\u202e@example.com"},
    "no time": {"type": "codex", "access_token": "CANARY", "expired": "tomorrow"},
    "time of another type": {"type": "codex", "access_token": "CANARY", "expired": 1e308},
    "no proxy": {"type": "codex", "access_token": "CANARY", "proxy_url": "file:///etc/passwd"},
}


async def test_thr_18_a_hostile_file_is_refused_and_not_repeated(page: Managed) -> None:
    for what, content in HOSTILE.items():
        told = await uploads(page, "x.json", content)
        assert (what, told.status) == (what, 400)
        assert "CANARY" not in told.text and len(told.body) < 300
    assert page.files() == {} and not page.house.owner.snapshot()


async def test_thr_18_endpoints_in_a_file_count_for_nothing(page: Managed) -> None:
    evil = page.sandbox.other_url
    file = plaintext(page, "gemini", base_url=evil, endpoints={"api": evil, "token": evil})
    file["token"]["token_uri"] = f"{evil}/token"
    await uploads(page, "x.json", file)
    assert (await page.chats("gemini-2.5-pro")).status == 200
    (id_,) = page.house.owner.snapshot()
    assert (await page.asks("POST", f"/credentials/{id_}/refresh")).status == 200
    assert page.sandbox.other_hits == []


async def test_thr_18_a_file_above_64_kib_is_refused(page: Managed) -> None:
    file = plaintext(page, "codex", padding="x" * 70_000)
    assert (await uploads(page, "x.json", file)).status == 413
    form = aiohttp.FormData()
    form.add_field("file", json.dumps(file).encode(), filename="x.json")
    assert (await page.asks("POST", "/auth-files", data=form)).status == 413
    large = await page.asks("POST", "/auth-files?name=x.json", data=io.BytesIO(b" " * (1 << 21)), headers=JSON)
    assert large.status == 413
    assert (await page.asks("POST", "/auth-files", data=aiohttp.FormData({"name": "x"}))).status in {400, 415}
    assert page.files() == {}


# --- out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [b"--a\r\n\r\n\r\n" * 50_000 + b"--a--\r\n", b"\r\n" * 400_000 + b"--a--\r\n", b"--b" + b"\n" * 900_000],
    ids=["parts", "lines", "another"],
)
async def test_thr_18_a_form_of_a_hundred_thousand_parts_or_lines_is_not_read(page: Managed, form: bytes) -> None:
    """Each would be some steps of the loop, and nobody else's turn: a second and more for one form."""
    await page.asks("GET", "/auth-files")
    began = time.process_time()
    told = await page.asks(
        "POST", "/auth-files", data=form, headers={"Content-Type": "multipart/form-data; boundary=a"}
    )
    assert (told.status, told.json["error"]) == (400, "invalid body")
    assert time.process_time() - began < 1.0, "processor time, of both sides"


async def test_thr_19_no_route_gives_plaintext(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    for path in ("/auth-files", "/auth-files/download?name=x.json", "/auth-files/download?name=x.json&reveal=1"):
        assert b"CANARY" not in (await page.asks("GET", path)).body
    for id_ in page.house.owner.snapshot():
        for path in (f"/credentials/{id_}?reveal=1", "/credentials?reveal=1"):
            assert b"CANARY" not in (await page.asks("GET", path)).body


@pytest.mark.parametrize(("vendor", "kind"), [*zip(NAMES, ("RSA", "EC", "OKP", "EC", "OKP"), strict=True)])
async def test_thr_19_an_export_opens_for_its_recipient_alone_and_can_be_uploaded(
    page: Managed, vendor: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    key: Any = {
        "RSA": lambda: RSAKey.generate_key(2048),
        "EC": lambda: ECKey.generate_key("P-256"),
        "OKP": lambda: OKPKey.generate_key("X25519"),
    }[kind]()
    await uploads(page, "x.json", plaintext(page, vendor))
    before = only(page)

    told = await page.asks("POST", "/auth-files/export", {"name": "x.json", "recipient": key.as_dict(private=False)})

    assert told.status == 200, told.text
    assert b"CANARY" not in told.body
    parts = [told.json.get(name, "") for name in ("protected", "encrypted_key", "iv", "ciphertext", "tag")]
    opened = jwe.decrypt_compact(".".join(parts), key, algorithms=["RSA-OAEP-256", "ECDH-ES", "A256GCM"])
    assert opened.plaintext is not None
    assert (await uploads(page, "x.json", opened.plaintext)).status == 200
    after = only(page)
    assert after.bearer == before.bearer and after.tokens is not None and before.tokens is not None
    assert after.tokens.refresh == before.tokens.refresh
    assert abs(after.tokens.expires_at - before.tokens.expires_at) <= 1
    assert any("handed out" in record.message for record in caplog.records)
    audited = [record.__dict__ for record in caplog.records if record.name == "vaultd.audit"]
    assert any(before.id in str(line.get("what")) and key.thumbprint() in str(line.get("what")) for line in audited)


def weak() -> dict[str, Any]:
    rsa = RSAKey.generate_key(2048).as_dict(private=False)
    ec = ECKey.generate_key("P-256")
    short = base64.urlsafe_b64encode(b"\xc1" + b"\x01" * 127).rstrip(b"=").decode()
    return {
        "private": ec.as_dict(private=True),
        "symmetric": OctKey.generate_key(256).as_dict(private=True),
        "short RSA": {**rsa, "n": short},
        "exponent 3": {**rsa, "e": "Aw"},
        "signing": {**ec.as_dict(private=False), "use": "sig"},
        "another alg": {**rsa, "alg": "RSA1_5"},
        "another curve": ECKey.generate_key("secp256k1").as_dict(private=False),
        "Ed25519": OKPKey.generate_key("Ed25519").as_dict(private=False),
        "off the curve": {**ec.as_dict(private=False), "x": ec.as_dict(private=False)["y"]},
        "of low order": {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        "even": {**rsa, "n": base64.urlsafe_b64encode(b"\xc0" + b"\x00" * 255).rstrip(b"=").decode()},
        "empty": {},
        "no texts": {"kty": "RSA", "n": 5, "e": [1]},
    }


# joserfc warns where we refuse, and the suite makes errors of warnings.
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_thr_19_no_weak_symmetric_or_private_key_is_a_recipient(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    for what, jwk in weak().items():
        told = await page.asks("POST", "/auth-files/export", {"name": "x.json", "recipient": jwk})
        assert (what, told.status) == (what, 400)
        assert "recipient" in told.json["error"]
    key = {"provider": "claude-api-key", "key": "sk-CANARY-key", "label": "k"}
    added = (await page.asks("POST", "/credentials", key)).json["id"]
    good = ECKey.generate_key().as_dict(private=False)
    assert (await page.asks("POST", "/auth-files/export", {"name": f"{added}.json", "recipient": good})).status == 400
    assert (await page.asks("POST", "/auth-files/export", {"name": "no.json", "recipient": good})).status == 404


# --- changed and deleted ----------------------------------------------------------------------------------------------


async def test_a_file_is_switched_changed_and_deleted_by_its_name(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    off = await page.asks("PATCH", "/auth-files/status", {"name": "x.json", "disabled": True})
    assert off.json == {"status": "ok", "disabled": True}
    assert (await listed(page))["x.json"]["status"] == "disabled"
    assert (await page.chats("gpt-5")).status == 503
    await page.asks("PATCH", "/auth-files/status", {"name": "x.json", "disabled": False})
    assert (await page.chats("gpt-5")).status == 200

    fields = {"name": "x.json", "priority": 3, "proxy_url": "socks5://127.0.0.1:9", "note": "the big one"}
    assert (await page.asks("PATCH", "/auth-files/fields", fields)).json == {"status": "ok"}
    settings = only(page).settings
    assert (settings.priority, settings.label, settings.proxy_url is not None) == (3, "the big one", True)
    assert (await page.asks("PATCH", "/auth-files/fields", {"name": "x.json"})).status == 400

    gone = await page.asks("DELETE", "/auth-files?name=no.json")
    assert (gone.status, gone.json) == (404, {"error": "file not found"})
    await uploads(page, "y.json", plaintext(page, "claude"))
    assert (await page.asks("DELETE", "/auth-files?all=*")).json == {"status": "ok", "deleted": 2}
    assert (await page.asks("GET", "/auth-files")).json == {"files": []}
    assert (await page.chats("gpt-5")).status == 503


async def test_keys_of_the_configuration_are_no_files(home: dict[str, str], planted: Callable[[Path], Path]) -> None:
    def keys(_sandbox: Any) -> Any:
        return {"claude-api-key": [{"api-key": "sk-CANARY-config"}]}

    async with managed(home, planted, config=keys) as page:
        assert (await page.asks("GET", "/auth-files")).json == {"files": []}
        assert (await page.asks("DELETE", "/auth-files?all=true")).json["deleted"] == 0
        assert len((await page.asks("GET", "/credentials")).json["data"]) == 1


async def test_vertex_says_what_to_use_instead(page: Managed) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b'{"private_key": "CANARY"}', filename="vertex.json")
    told = await page.asks("POST", "/vertex/import", data=form)
    assert told.status == 400
    assert "gemini-api-key" in told.json["error"] and "not supported yet" in told.json["error"]


async def test_no_file_route_answers_without_the_key(page: Managed) -> None:
    for method, path in (("GET", "/auth-files"), ("POST", "/auth-files?name=x.json"), ("DELETE", "/auth-files?all=1")):
        told = await page.asks(method, path, headers={"Authorization": f"Bearer {KEY}x"})
        assert told.status == 401
