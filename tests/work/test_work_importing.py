"""Token files as CLIProxyAPI writes them (November 2025) become credentials."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.errors import Misconfigured
from vaultd.vault.credential import Credential
from vaultd.work.importing.cliproxyapi import read_token_file

NOW = dt.datetime(2025, 11, 22, 4, 0, tzinfo=dt.UTC).timestamp()


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load(shipped_folder(), None, Config(), "(none)")


def imported(file: dict[str, Any], catalog: Catalog) -> Credential:
    credential = read_token_file(json.dumps(file), "file.json", catalog, now=NOW)
    assert credential is not None
    return credential


def flat(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "access_token": f"CANARY-{kind}-access",
        "refresh_token": f"CANARY-{kind}-refresh",
        "email": "ann@example.com",
        "expired": "2025-11-22T06:00:00+01:00",
        "last_refresh": "2025-11-22T05:00:00+02:00",
        **more,
    }


def jwt(claims: dict[str, Any]) -> str:
    parts = ({"alg": "RS256"}, claims)
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}.CANARY"


def test_the_writers_own_zone_counts(catalog: Catalog) -> None:
    credential = imported(flat("claude"), catalog)
    assert credential.tokens is not None
    assert credential.tokens.expires_at == NOW + 3600
    assert credential.tokens.issued_at == NOW - 3600
    assert credential.provider == "claude"
    assert credential.account.email == "ann@example.com"


def test_a_codex_file_says_person_account_and_plan_in_its_expired_id_token(catalog: Catalog) -> None:
    claims = {
        "aud": ["app_EMoamEEZ73f0CkXaXp7hrann"],
        "exp": int(NOW) - 86400,
        "email": "ann@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_user_id": "user-1",
            "chatgpt_account_id": "acct-1",
            "chatgpt_plan_type": "team",
        },
    }
    credential = imported(flat("codex", id_token=jwt(claims), account_id="acct-1"), catalog)
    assert credential.identity == ("codex", "user-1", "acct-1")
    assert credential.account.plan == "team"
    assert credential.account.facts["chatgpt_account_id"] == "acct-1"


def test_a_gemini_file_nests_its_token_and_has_projects(catalog: Catalog) -> None:
    token = {
        "access_token": "CANARY-g-access",
        "refresh_token": "CANARY-g-refresh",
        "token_type": "Bearer",
        "expiry": "2025-11-22T05:00:00.123456789Z",
    }
    file = {"type": "gemini", "token": token, "project_id": "one,two", "email": "ann@example.com", "auto": False}
    credential = imported(file, catalog)
    assert credential.tokens is not None
    assert credential.tokens.refresh is not None
    assert credential.tokens.refresh.reveal() == "CANARY-g-refresh"
    assert credential.tokens.expires_at == pytest.approx(NOW + 3600, abs=1)
    assert credential.account.facts["projects"] == ["one", "two"]


def test_qwen_keeps_its_resource_url_and_iflow_its_derived_key(catalog: Catalog) -> None:
    assert (
        imported(flat("qwen", resource_url="portal.qwen.ai"), catalog).account.facts["resource_url"] == "portal.qwen.ai"
    )
    iflow = imported(flat("iflow", api_key="CANARY-iflow-key"), catalog)
    assert iflow.bearer is not None
    assert iflow.bearer.reveal() == "CANARY-iflow-key"


def test_a_proxy_and_a_switched_off_file_stay_so(catalog: Catalog) -> None:
    settings = imported(flat("claude", proxy_url="socks5://u:CANARY@proxy:1080", disabled=True), catalog).settings
    assert settings.disabled
    assert settings.proxy_url is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json CANARY", "is not JSON"),
        ('["CANARY"]', "is not a JSON object"),
        ('{"type": "vertex", "private_key": "CANARY"}', "codex"),
        ('{"access_token": "CANARY"}', "missing"),
        ('{"type": "claude", "email": "CANARY"}', "neither access_token nor refresh_token"),
        ('{"type": "claude", "access_token": "CANARY", "expired": "CANARY soon"}', "RFC 3339"),
    ],
)
def test_thr_28_what_cannot_be_imported_is_named_and_never_quoted(text: str, says: str, catalog: Catalog) -> None:
    with pytest.raises(Misconfigured, match=says) as refused:
        read_token_file(text, "file.json", catalog, now=NOW)
    assert str(refused.value).startswith("file.json: ")
    assert "CANARY" not in str(refused.value)


def test_a_sealed_file_is_nothing_to_import(catalog: Catalog, tmp_path: Path) -> None:
    assert read_token_file('{"recipients": [], "ciphertext": ""}', "file.json", catalog, now=NOW) is None
