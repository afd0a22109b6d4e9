"""What hostile files and names try, and what may leave the vault: THR-17, THR-18, THR-19."""

from __future__ import annotations

import base64
import io
import json
import logging
import time
from typing import Any

import aiohttp
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from managed import Managed
from uploading import JSON, NAMES, downloads, only, plaintext, uploads

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
    await page.asks("DELETE", "/auth-files", params={"name": "none.json"})  # the audit log has its first lines now
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
