"""Signing in by authorization code, each vendor's dialect as a transcript."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from transcripts import NOW, STATE, VERIFIER, answered, form, jwt, play, query, shipped, stamp, tokens

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Provider
from vaultd.config.model import Config
from vaultd.effects import AwaitRedirect, Flow, Send, Show
from vaultd.errors import Misconfigured, SignInRequired, TryLater, UpstreamRefused
from vaultd.oauth.authcode import authorization_url, challenge, sign_in
from vaultd.oauth.tokens import Grant

CODE_VENDORS = ("codex", "claude", "gemini", "iflow")
CODE = {"code": "CANARY-code", "state": STATE}


def start(provider: Provider, **more: Any) -> Flow[Grant]:
    assert provider.oauth is not None and provider.oauth.redirect is not None
    given = {"redirect_uri": provider.oauth.redirect.uri, "state": STATE, "verifier": VERIFIER, "stamp": stamp}
    return sign_in(provider, **(given | more))


def url_of(provider: Provider) -> dict[str, str]:
    assert provider.oauth is not None and provider.oauth.redirect is not None
    uri = provider.oauth.redirect.uri
    return query(
        authorization_url(provider, provider.endpoints["authorize"], redirect_uri=uri, state=STATE, verifier=VERIFIER)
    )


def exchange_of(provider: Provider, answer: dict[str, str] | None = None) -> Send:
    """The token request that follows the redirect."""
    sent: list[Send] = []

    def note(send: Send) -> Exception:
        sent.append(send)
        return TryLater("enough seen")

    with pytest.raises(TryLater):
        play(start(provider), (Show, None), (AwaitRedirect, answer or CODE), (Send, note))
    return sent[0]


@pytest.mark.parametrize("name", CODE_VENDORS)
def test_sec_01_every_vendor_is_asked_for_a_code_and_nothing_else(name: str) -> None:
    asked = url_of(shipped(name))

    assert asked.get("response_type") == (None if name == "iflow" else "code")
    assert asked["state"] == STATE
    assert asked["redirect" if name == "iflow" else "redirect_uri"].startswith("http://localhost:")


def test_sec_01_no_manifest_knows_an_implicit_or_password_grant() -> None:
    for entry in load(shipped_folder(), None, Config(), "config.yaml").providers.values():
        if entry.provider.oauth is not None:
            assert entry.provider.oauth.response_type in {"code", "none"}
            assert "password" not in str(entry.raw["oauth"])


def test_sec_02_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert challenge("S256", VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("name", CODE_VENDORS)
def test_sec_02_pkce_goes_with_every_url_but_where_the_manifest_says_none(name: str) -> None:
    asked = url_of(shipped(name))

    assert asked.get("code_challenge_method") == (None if name == "iflow" else "S256")
    assert ("code_challenge" in asked) is (name != "iflow")


@pytest.mark.parametrize("method", ["s256", "plain", "S265", ""])
def test_sec_02_a_misspelt_method_raises_instead_of_leaving_pkce_out(method: str) -> None:
    with pytest.raises(Misconfigured, match="S256"):
        challenge(method, VERIFIER)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 43 + " ", "ü" * 43])
def test_sec_02_a_verifier_out_of_the_rfc_is_refused(verifier: str) -> None:
    with pytest.raises(Misconfigured, match="verifier"):
        play(start(shipped("codex"), verifier=verifier))


@pytest.mark.parametrize("state", ["", "state-token", "x" * 21, "gem-1763000000 ", "x" * 129])
def test_sec_04_a_state_one_could_guess_builds_no_url(state: str) -> None:
    with pytest.raises(Misconfigured, match="random"):
        play(start(shipped("iflow"), state=state))


def test_sec_05_the_code_goes_to_the_endpoint_fixed_at_the_start() -> None:
    """Two servers: whatever the redirect says, the code reaches only the one that belongs to the page shown."""
    ours = shipped("codex", endpoints={"authorize": "https://a.example/auth", "token": "https://a.example/token"})
    mixed_up = {**CODE, "token_endpoint": "https://b.example/token", "iss": "https://b.example"}

    assert exchange_of(ours, mixed_up).url == "https://a.example/token"


def test_sec_08_scopes_asked_for_are_the_table_in_the_manifests() -> None:
    asked = {name: url_of(shipped(name)).get("scope", "").split() for name in CODE_VENDORS}

    google = "https://www.googleapis.com/auth/"
    assert asked == {
        "codex": ["openid", "profile", "email", "offline_access"],
        "claude": [
            "user:profile",
            "user:inference",
            "user:sessions:claude_code",
            "user:mcp_servers",
            "user:file_upload",
        ],
        "gemini": [google + "cloud-platform", google + "userinfo.email", google + "userinfo.profile"],
        "iflow": [],
    }


def test_sec_08_granted_scopes_are_kept() -> None:
    grant = play(
        start(shipped("claude")),
        (Show, None),
        (AwaitRedirect, CODE),
        (Send, answered(tokens(scope="user:inference"))),
    )
    assert grant.tokens.scope == "user:inference"


@pytest.mark.parametrize("name", CODE_VENDORS)
def test_sec_10_a_public_client_secret_is_never_in_an_address(name: str) -> None:
    provider = shipped(name)
    assert provider.oauth is not None
    secret = provider.oauth.client_secret

    assert not secret or secret not in str(url_of(provider))
    assert not secret or secret not in exchange_of(provider).url


def test_sec_15_localhost_stands_only_where_the_vendor_registered_it() -> None:
    redirects = {name: url_of(shipped(name)) for name in CODE_VENDORS}

    assert {name: asked.get("redirect_uri", asked.get("redirect")) for name, asked in redirects.items()} == {
        "codex": "http://localhost:1455/auth/callback",
        "claude": "http://localhost:54545/callback",
        "gemini": "http://localhost:8085/oauth2callback",
        "iflow": "http://localhost:11451/oauth2callback",
    }


def test_codex_signs_in_and_its_id_token_says_who() -> None:
    claims = {
        "aud": ["app_EMoamEEZ73f0CkXaXp7hrann"],
        "exp": NOW + 3600,
        "email": "a@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": "acc-1",
            "chatgpt_user_id": "user-1",
            "chatgpt_plan_type": "team",
        },
    }

    def exchanged(send: Send) -> Any:
        assert send.url == "https://auth.openai.com/oauth/token"
        assert form(send) == {
            "grant_type": "authorization_code",
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "code": "CANARY-code",
            "redirect_uri": "http://localhost:1455/auth/callback",
            "code_verifier": VERIFIER,
        }
        return answered(tokens(id_token=jwt(claims), expires_in=864000))

    def shown(show: Show) -> None:
        assert query(show.url)["codex_cli_simplified_flow"] == "true"

    grant = play(start(shipped("codex")), (Show, shown), (AwaitRedirect, CODE), (Send, exchanged))

    assert grant.tokens.expires_at == NOW + 864000
    assert (grant.account.email, grant.account.person, grant.account.account, grant.account.plan) == (
        "a@example.com",
        "user-1",
        "acc-1",
        "team",
    )
    assert grant.account.facts["chatgpt_account_id"] == "acc-1"


@pytest.mark.parametrize("code", ["CANARY-code", f"CANARY-code#{STATE}"])
def test_claude_takes_json_with_the_state_and_a_code_that_may_carry_it(code: str) -> None:
    assert url_of(shipped("claude"))["code"] == "true"

    send = exchange_of(shipped("claude"), {"code": code, "state": STATE})

    assert send.headers["Content-Type"] == "application/json"
    assert json.loads(send.body) == {
        "grant_type": "authorization_code",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "code": "CANARY-code",
        "state": STATE,
        "redirect_uri": "http://localhost:54545/callback",
        "code_verifier": VERIFIER,
    }


def test_google_is_asked_for_offline_access_and_given_its_secret_in_the_body() -> None:
    asked = url_of(shipped("gemini"))
    send = form(exchange_of(shipped("gemini")))

    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert send["client_secret"].startswith("GOCSPX-")


def test_iflow_wants_basic_and_body_and_knows_no_pkce() -> None:
    send = exchange_of(shipped("iflow"))

    scheme, _, pair = send.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair).decode().partition(":")[0] == form(send)["client_id"]
    assert form(send)["client_secret"] == base64.b64decode(pair).decode().partition(":")[2]
    assert "code_verifier" not in form(send)


def test_the_vendors_own_page_shows_the_code_and_nobody_listens() -> None:
    page = "https://platform.claude.com/oauth/code/callback"

    def waited(effect: AwaitRedirect) -> dict[str, str]:
        assert not effect.listen
        assert effect.redirect_uri == page
        return CODE

    flow = start(shipped("claude"), redirect_uri=page, listen=False)
    play(flow, (Show, None), (AwaitRedirect, waited), (Send, answered(tokens())))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", SignInRequired),
        ("login_required", SignInRequired),
        ("server_error", TryLater),
        ("temporarily_unavailable", TryLater),
        ("invalid_scope", UpstreamRefused),
        ("something_new", UpstreamRefused),
    ],
)
def test_a_refusal_by_redirect_says_whose_turn_it_is(error: str, expected: type[Exception]) -> None:
    with pytest.raises(expected, match=error):
        play(start(shipped("codex")), (Show, None), (AwaitRedirect, {"error": error, "state": STATE}))


def test_sec_24_the_vendors_words_reach_the_terminal_without_control_characters() -> None:
    words = "no\x1b[2J\r\nGo to \u202eevil" + "x" * 1_000_000
    answer = {"error": "access_denied\x1b[31m", "error_description": words, "state": STATE}

    with pytest.raises(UpstreamRefused) as raised:
        play(start(shipped("codex")), (Show, None), (AwaitRedirect, answer))

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


def test_sec_33_an_exchange_whose_outcome_is_unknown_is_not_repeated() -> None:
    cut = TryLater("auth.openai.com broke off the connection", outcome_unknown=True)

    with pytest.raises(TryLater) as raised:
        play(start(shipped("codex")), (Show, None), (AwaitRedirect, CODE), (Send, cut))

    assert raised.value.outcome_unknown


def test_a_spent_code_is_the_persons_turn() -> None:
    with pytest.raises(SignInRequired, match="invalid_grant"):
        play(
            start(shipped("codex")),
            (Show, None),
            (AwaitRedirect, CODE),
            (Send, answered({"error": "invalid_grant"}, 400)),
        )


def test_no_secret_is_in_the_repr_of_what_a_flow_asks_for() -> None:
    assert "CANARY" not in repr(exchange_of(shipped("codex")))
    assert STATE not in repr(AwaitRedirect("http://localhost:1455/auth/callback", STATE))
