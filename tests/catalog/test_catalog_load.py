"""Who the vendors are: shipped, dropped in, overlaid; each value with its origin, each mistake with its file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.models import Catalog, resolve
from vaultd.config.load import parse
from vaultd.config.model import Config
from vaultd.errors import Misconfigured

SHIPPED = shipped_folder()
ROOT = Path(__file__).parents[2]


def catalog(config: str = "", dropin: Path | None = None) -> Catalog:
    return load(SHIPPED, dropin, parse(config, "c.yaml", []), "c.yaml")


def how_to(id_: str) -> str:
    """The first manifest of the how-to, which is thereby known to work."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/providers.md").read_text(), re.DOTALL)
    return str(next(block for block in blocks if f"id: {id_}" in block))


def test_ten_are_shipped() -> None:
    assert catalog().sign_in_ids() == ["claude", "codex", "gemini", "iflow", "kimi", "qwen", "xai"]
    assert catalog().key_ids() == ["claude-api-key", "codex-api-key", "gemini-api-key"]
    assert catalog().notes == ()


def test_no_manifest_says_it_was_tried_or_names_another_program() -> None:
    """*Headers* in the contract: nothing that is another program's identity."""
    for entry in catalog().providers.values():
        assert entry.provider.verified == "none"
        names = {name.lower() for name in entry.provider.api.headers}
        assert names <= {"anthropic-version", "openai-beta"}


@pytest.mark.parametrize(
    ("id_", "port", "path"),
    [("codex", 1455, "/auth/callback"), ("claude", 54545, "/callback"), ("gemini", 8085, "/oauth2callback"),
     ("iflow", 11451, "/oauth2callback")],
)  # fmt: skip
def test_the_fixed_callback_ports(id_: str, port: int, path: str) -> None:
    oauth = catalog().provider(id_).oauth
    assert oauth is not None and oauth.redirect is not None
    assert oauth.redirect.uri == f"http://localhost:{port}{path}"


def test_sunsets() -> None:
    days = {id_: entry.provider.sunset for id_, entry in catalog().providers.items() if entry.provider.sunset}
    assert days == {"gemini": "2026-06-18", "iflow": "2026-04-17", "qwen": "2026-04-15"}


@pytest.mark.parametrize(("login", "key"), [("codex", "codex-api-key"), ("claude", "claude-api-key")])
def test_a_vendors_keys_serve_the_models_of_its_logins(login: str, key: str) -> None:
    assert catalog().provider(login).models == catalog().provider(key).models


def test_the_how_tos_manifest_dropped_in_is_a_provider(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(how_to("acme"))
    found = catalog(dropin=tmp_path)
    assert "acme" in found.sign_in_ids()
    assert found.entry("acme").origins["oauth.client-id"] == f"drop-in {tmp_path}/acme.yaml"


def test_a_drop_in_replaces_whole_and_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "kimi.yaml").write_text(how_to("acme").replace("id: acme", "id: kimi"))
    found = catalog(dropin=tmp_path)
    assert found.provider("kimi").name == "Acme AI"
    assert found.notes == (f"{tmp_path}/kimi.yaml replaces the shipped manifest `kimi` whole",)


def test_an_overlay_changes_one_leaf_and_its_origin() -> None:
    found = catalog("providers: {claude: {endpoints: {token: 'https://console.anthropic.com/v1/oauth/token'}}}")
    entry, untouched = found.entry("claude"), catalog().provider("claude")
    assert entry.provider.endpoints["token"] == "https://console.anthropic.com/v1/oauth/token"
    assert entry.provider.endpoints["authorize"] == untouched.endpoints["authorize"]
    assert entry.origins["endpoints.token"] == "config c.yaml"
    assert entry.origins["endpoints.authorize"] == "shipped"


def test_a_model_with_nothing_else_to_say_is_its_bare_id() -> None:
    found = catalog("providers: {codex: {models: [gpt-6, 'gpt-7*', {id: gpt-8, context: 9}]}}").provider("codex")
    assert [model.id for model in found.models] == ["gpt-6", "gpt-7*", "gpt-8"]
    assert resolve(found, "gpt-7-next") is not None


def test_an_overlaid_list_replaces() -> None:
    found = catalog("providers: {codex: {oauth: {scopes: [openid]}, models: [{id: gpt-6}]}}").provider("codex")
    assert found.oauth is not None
    assert (found.oauth.scopes, [model.id for model in found.models]) == (["openid"], ["gpt-6"])


def test_an_overlay_can_be_a_whole_new_provider() -> None:
    text = "providers: {corp: {keys: true, endpoints: {api: 'https://llm.corp.example'}, api: {formats: [gemini]}}}"
    assert catalog(text).provider("corp").api.formats == ["gemini"]


@pytest.mark.parametrize(
    ("overlay", "complaint"),
    [
        ("codex: {oauth: {client-idd: x}}", r"providers\.codex\.oauth\.client-idd: no such key \(nearest: client-id\)"),
        ("codex: {oauth: {redirect: {port: x}}}", r"providers\.codex\.oauth\.redirect\.port: expected int"),
        ("codex: {models: [{id: a}, {idd: b}]}", r"providers\.codex\.models\[1\]\.idd: no such key \(nearest: id\)"),
        ("codx: {endpoints: {token: x}}", r"providers\.codx: no such provider \(nearest: codex\)"),
        ("corp: {api: {formats: [gemni]}}", r"providers\.corp\.api\.formats\[0\]: is not one of openai-chat"),
        ("corp: {api: {formats: [gemini]}}", r"providers\.corp\.endpoints\.api: is missing"),
        ("codex: {oauth: {refresh-ahead: soon}}", r"providers\.codex\.oauth\.refresh-ahead: `soon` is not a duration"),
        (
            "codex: {api: {hooks: [codexbody]}}",
            r"providers\.codex\.api\.hooks: no hook `codexbody` \(nearest: codex-body\)",
        ),
        (
            "codex: {endpoints: {tokn: 'https://a.example'}}",
            r"providers\.codex\.endpoints\.tokn: no such endpoint \(nearest: token\)",
        ),
        (
            "codex: {oauth: {redirect: {port: 99999}}}",
            r"providers\.codex\.oauth\.redirect\.port: expected int <= 65535",
        ),
        ("codex: {oauth: {redirect: {path: callback}}}", r"providers\.codex\.oauth\.redirect\.path: expected text"),
        ("codex: {api: {formats: []}}", r"providers\.codex\.api\.formats: expected a list of length >= 1"),
        ("codex: {sunset: soon}", r"providers\.codex\.sunset: is not a day"),
        ("codex: {id: claude}", r"providers\.codex\.id: must stay `codex`"),
    ],
)
def test_a_wrong_overlay_names_file_key_and_nearest(overlay: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=rf"c\.yaml: .*{complaint}"):
        catalog(f"providers: {{{overlay}}}")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("client-id", "clientid"), r"acme\.yaml: oauth\.clientid: no such key \(nearest: client-id\)"),
        (("id: acme ", "id: acne "), r"acme\.yaml: id: must be `acme`"),
        (("  token:", "  tokn:"), r"acme\.yaml: endpoints\.tokn: no such endpoint \(nearest: token\)"),
        (("pkce: S256", "pkce: plain"), r"acme\.yaml: oauth\.pkce: is not one of S256, none"),
        (("  redirect: {port", "  #redirect: {port"), r"acme\.yaml: oauth\.redirect: is missing"),
        (("client-id: acme-cli", "client-id:"), r"acme\.yaml: oauth\.client-id: is missing"),
    ],
)
def test_a_wrong_manifest_names_file_key_and_nearest(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    text = how_to("acme")
    assert change[0] in text
    (tmp_path / "acme.yaml").write_text(text.replace(*change))
    with pytest.raises(Misconfigured, match=complaint):
        catalog(dropin=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example/token",
        "http://127.0.0.1.example",
        "http://10.0.0.1/",
        "ftp://a",
        "token",
        "http://[",
        "//a/b",
        "https://user:CANARY@auth.example",
    ],
)
def test_sec_06_an_endpoint_that_is_not_https_is_refused(url: str) -> None:
    for key in ("token", "api"):
        with pytest.raises(Misconfigured, match=rf"providers\.codex\.endpoints\.{key}: ") as caught:
            load(SHIPPED, None, Config(providers={"codex": {"endpoints": {key: url}}}), "c.yaml")
        assert "CANARY" not in str(caught.value)
    with pytest.raises(Misconfigured, match=r"providers\.xai\.oauth\.issuer: "):
        load(SHIPPED, None, Config(providers={"xai": {"oauth": {"issuer": url}}}), "c.yaml")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9/x", "http://[::1]:9", "https://a.example"])
def test_sec_06_http_is_for_loopback(url: str) -> None:
    overlay: dict[str, Any] = {"codex": {"endpoints": {"token": url}}}
    assert load(SHIPPED, None, Config(providers=overlay), "c.yaml").provider("codex").endpoints["token"] == url


COMPAT = """
openai-compatibility:
  - {name: OpenRouter, base-url: "http://10.0.0.7/v1", models: [{name: "moonshotai/kimi-k2:free", alias: kimi-k2}]}
  - {name: openrouter, base-url: "https://second.example/v1", models: [{name: b}]}
"""


def test_a_compatible_vendor_is_a_provider_in_any_case() -> None:
    found = catalog(COMPAT).provider("OpenRouter")
    assert (found.id, found.name, found.keys) == ("openrouter", "OpenRouter", True)
    assert found.endpoints == {"api": "http://10.0.0.7/v1"}
    assert [model.id for model in found.models] == ["kimi-k2", "b"]
    model = resolve(found, "KIMI-K2")
    assert model is not None and model.upstream == "moonshotai/kimi-k2:free"


def test_a_compatible_entry_may_join_a_vendor_of_its_name_that_speaks_chat() -> None:
    text = "openai-compatibility: [{name: iflow, base-url: 'https://apis.iflow.cn/v1', models: [{name: x}]}]"
    assert "joins the provider of that name" in catalog(text).notes[0]
    with pytest.raises(Misconfigured, match=r"openai-compatibility\[0\]\.name: `claude` is another provider's id"):
        catalog(text.replace("name: iflow", "name: claude"))


def test_the_checkouts_own_manifests_beside_a_config_drop_in_nothing() -> None:
    assert catalog(dropin=SHIPPED).notes == ()
