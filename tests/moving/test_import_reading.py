"""What a file is, who it belongs to, and what is refused: every reader, and files made to hurt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leaving import claude_code, claude_companion, codex, codex_lb, codex_lb_bundle, gemini_cli, iflow, rfc3339

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.errors import Misconfigured
from vaultd.oauth.tokens import Tokens
from vaultd.sandbox.records import Access, Account, Family
from vaultd.secret import Secret
from vaultd.vault.credential import DeadLogin
from vaultd.work.importing import cliproxyapi_config
from vaultd.work.importing.fate import judge
from vaultd.work.importing.fields import Around, Found
from vaultd.work.importing.formats import FORMATS, read
from vaultd.work.importing.places import text_of

NOW = 1_795_000_000.0


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load(shipped_folder(), None, Config(), "(none)")


@pytest.fixture
def around(catalog: Catalog) -> Around:
    return Around(catalog, NOW)


@pytest.fixture
def access() -> Access:
    family = Family("f", Account("ann@example.com", "person-1", "account-1"), "", refresh="CANARY-refresh")
    return Access("CANARY-access", family, NOW)


def one(text: str, around: Around, wanted: str = "") -> Found:
    _, found = read(text, "file.json", around, wanted)
    assert len(found) == 1
    return found[0]


def test_each_shape_is_known_by_what_it_holds(access: Access, around: Around) -> None:
    shapes: dict[str, Any] = {
        "codex": codex(access),
        "codex-lb": codex_lb(access),
        "claude-code": claude_code(access),
        "gemini-cli": gemini_cli(access),
        "iflow": iflow(access),
        "qwen-code": {"access_token": "CANARY", "refresh_token": "CANARY-r", "resource_url": "portal.qwen.ai"},
        "cliproxyapi": {"type": "qwen", "refresh_token": "CANARY", "email": "ann"},
    }
    assert shapes.keys() == FORMATS.keys()
    for format_, shape in shapes.items():
        assert read(json.dumps(shape), "file.json", around)[0] == format_
        other = "codex" if format_ != "codex" else "iflow"
        with pytest.raises(Misconfigured, match="looks like a file of"):
            read(json.dumps(shape), "file.json", around, other)


def test_whose_it_is_comes_from_the_login_or_from_what_lies_beside_it(access: Access, catalog: Catalog) -> None:
    assert one(json.dumps(codex(access)), Around(catalog, NOW)).credential.identity == (
        "codex",
        "person-1",
        "account-1",
    )
    beside = {".claude.json": json.dumps(claude_companion(access))}
    claude = one(json.dumps(claude_code(access)), Around(catalog, NOW, beside)).credential
    assert claude.identity == ("claude", "person-1", "account-1")
    assert (claude.account.email, claude.account.plan) == ("ann@example.com", "max")
    switched = claude_code(access)
    switched["claudeAiOauth"] |= {"accountUuid": "person-2", "organizationUuid": "account-2"}
    other = one(json.dumps(switched), Around(catalog, NOW, beside)).credential
    assert (other.account.person, other.account.email) == ("person-2", ""), "the file beside is of somebody else"


def test_an_api_key_of_codex_is_a_key_here(around: Around) -> None:
    key = one('{"auth_mode": "apikey", "OPENAI_API_KEY": "CANARY-sk", "tokens": null}', around).credential
    assert (key.provider, key.kind, key.settings.label) == ("codex-api-key", "key", "codex")


def test_the_exports_of_codex_lb_hold_what_codex_has(access: Access, catalog: Catalog) -> None:
    around = Around(catalog, NOW, passphrase=Secret("a CANARY passphrase with spaces"))
    old = {"accountId": "1", "email": "ann@example.com", "authJson": json.dumps(codex(access))}
    for export in (codex_lb(access), codex_lb_bundle(access), old):
        assert one(json.dumps(export), around).credential.identity == ("codex", "person-1", "account-1")
    with pytest.raises(Misconfigured, match="the passphrase is another one"):
        read(json.dumps(codex_lb_bundle(access)), "f", Around(catalog, NOW, passphrase=Secret("CANARY wrong")))
    greedy = codex_lb_bundle(access)
    greedy["kdf"]["n"] = 1 << 30
    with pytest.raises(Misconfigured, match="another version"):
        read(json.dumps(greedy), "f", around)


def test_a_bundle_of_many_accounts_is_known_by_what_it_holds_too(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"format": "codex-lb-account-bundle", "ciphertext": "A" * 100_000}))
    assert len(text_of(file)) > 100_000, "nobody has to say --from codex-lb"
    file.write_text(json.dumps({"refresh_token": "A" * 100_000}))
    with pytest.raises(Misconfigured, match="larger than 64 KiB"):
        text_of(file)


def test_a_file_that_is_older_than_what_is_here_never_takes_its_place(access: Access, around: Around) -> None:
    fresh = codex(access) | {"last_refresh": rfc3339(NOW)}
    held = one(json.dumps(fresh), around).credential
    known = {"codex-ann": held}
    stale = codex(access) | {"last_refresh": rfc3339(NOW - 86400)}
    stale["tokens"]["refresh_token"] = "CANARY-another"
    assert judge(one(json.dumps(stale), around), known).does == "older"
    assert judge(one(json.dumps(fresh), around), known).does == "here"
    newer = codex(access) | {"last_refresh": rfc3339(NOW + 86400)}
    newer["tokens"]["refresh_token"] = "CANARY-another"
    newer["tokens"]["access_token"] = ""
    later = Around(around.catalog, NOW + 86401)
    assert judge(one(json.dumps(newer), later), known).does == "replace"


def test_one_login_that_two_programs_name_differently_is_here_once(around: Around) -> None:
    """A refresh token that two credentials of one vault present ends what it began (RFC 9700 §4.14.2)."""
    login = {"accessToken": "CANARY", "refreshToken": "CANARY-one", "expiresAt": int(NOW * 1000)}
    nameless = one(json.dumps({"claudeAiOauth": login}), around)
    flat = {"type": "claude", "email": "ann@example.com", "access_token": "CANARY", "refresh_token": "CANARY-one"}
    named = one(json.dumps(flat | {"expired": rfc3339(NOW)}), around)
    for first, second in ((named, nameless), (nameless, named)):
        fate = judge(second, {"claude-here": replace(first.credential, id="claude-here")})
        assert (fate.does, fate.id) == ("here", "claude-here")
    renewed = replace(
        named.credential,
        id="claude-here",
        tokens=Tokens(Secret("CANARY"), Secret("CANARY-two"), issued_at=NOW, expires_at=NOW + 3600),
        account=replace(named.credential.account, facts={"imported": hashlib.sha256(b"CANARY-one").hexdigest()[:16]}),
    )
    assert judge(nameless, {"claude-here": renewed}).does == "older", "its token is spent"
    dead = replace(named.credential, id="claude-here", dead=DeadLogin("CANARY", NOW))
    assert judge(nameless, {"claude-here": dead}).does == "here"
    assert judge(named, {"claude-here": dead}).does == "replace", "a person's word that it may be tried once more"


def test_a_file_that_only_says_when_its_token_ends_is_judged_by_that(around: Around) -> None:
    def file(ends: float, token: str) -> str:
        return json.dumps({"access_token": "CANARY", "refresh_token": token, "expiry_date": int(ends * 1000)})

    known = {"qwen-qwen-code": one(file(NOW + 3600, "CANARY-1"), around, "qwen-code").credential}
    for ends, does in ((NOW + 60, "older"), (NOW + 7200, "replace"), (NOW + 3600, "replace")):
        assert judge(one(file(ends, "CANARY-2"), around, "qwen-code"), known).does == does
    named = Around(around.catalog, NOW, label="second")
    assert judge(one(file(NOW, "CANARY-3"), named, "qwen-code"), known).does == "new", "another name, another account"


def test_a_configuration_gives_its_keys_and_says_what_stays(around: Around) -> None:
    text = """
api-keys: [CANARY-client-key-0123456789abcdef0123456789]
claude-api-key: [{api-key: CANARY-sk, base-url: "https://relay.example"}]
openai-compatibility:
  - {name: OpenRouter, base-url: "https://openrouter.ai/api/v1", api-key-entries: [{api-key: CANARY-or}]}
auth-dir: ~/.cli-proxy-api
port: 9000
"""
    contents = cliproxyapi_config.read(text, "config.yaml", around.catalog, now=NOW)
    assert [found.credential.provider for found in contents.vendor_keys] == ["claude-api-key"]
    assert contents.vendor_keys[0].credential.settings.base_url == "https://relay.example"
    assert len(contents.client_keys) == 1
    assert contents.stays == ["openai-compatibility (OpenRouter)", "port (9000)", "auth-dir (~/.cli-proxy-api)"]


DEEP = "[" * 5000
HOSTILE = [
    ("not json CANARY", "is not JSON"),
    (DEEP, "is not JSON"),
    ('{"claudeAiOauth": ' + DEEP, "is not JSON"),
    ('{"tokens": {}, "tokens": {"refresh_token": "CANARY"}}', "repeats a member"),
    ('{"tokens": {"refresh_token": "CANARY", "refresh_token": "CANARY-2"}}', "repeats a member"),
    ('{"OPENAI_API_KEY": 7}', "is no text"),
    ('{"OPENAI_API_KEY": "CANARY with\\nlines"}', "cannot be printed"),
    ('{"OPENAI_API_KEY": "CANARY ä"}', "characters that no token has"),
    ('{"OPENAI_API_KEY": "' + "CANARY" * 2000 + '"}', "too long"),
    ('{"tokens": {"access_token": "CANARY"}}', "no refresh_token"),
    ('{"auth_mode": "chatgptAuthTokens", "tokens": {"refresh_token": "CANARY"}}', "another program"),
    ('{"claudeAiOauth": ["CANARY"]}', "is no object"),
    ('{"claudeAiOauth": {"accessToken": "", "refreshToken": ""}}', "has ended"),
    ('{"claudeAiOauth": {"refreshToken": "CANARY", "expiresAt": "CANARY soon"}}', "no time in milliseconds"),
    ('{"claudeAiOauth": {"refreshToken": "CANARY", "expiresAt": true}}', "no time in milliseconds"),
    ('{"claudeAiOauth": {"refreshToken": "CANARY", "expiresAt": 1e300}}', "no time in milliseconds"),
    ('{"claudeAiOauth": {"refreshToken": "CANARY", "scopes": {"CANARY": 1}}}', "no list of texts"),
    ('{"refresh_token": "CANARY"}', "say so with --from"),
    ('{"installed": {"client_secret": "CANARY"}}', "no credential file that is known"),
    ('{"id_token": "CANARY", "access_token": "CANARY"}', "no refresh_token"),
    ('{"apiKey": "CANARY", "baseUrl": "https://apis.iflow.cn/v1"}', "openai-compatibility"),
    ('{"format": "codex-lb-account-bundle", "version": 1}', "sealed by a passphrase"),
    ("0123abcd:0123abcd:0123abcd", "vaultd login --gemini"),
    ('{"expiry_date": NaN, "refresh_token": "CANARY", "resource_url": "x"}', "is not JSON"),
]


@pytest.mark.parametrize(("text", "says"), HOSTILE)
def test_thr_18_a_hostile_file_is_refused_and_never_quoted(text: str, says: str, around: Around) -> None:
    with pytest.raises(Misconfigured, match=says) as refused:
        read(text, "file.json", around)
    assert str(refused.value).startswith("file.json: ")
    assert "CANARY" not in str(refused.value)
