"""Which addresses may be used, and when an issuer's own list of them is believed."""

from __future__ import annotations

from typing import Any

import pytest
from transcripts import NOW, answered, play, shipped

from vaultd.catalog.secure import is_secure
from vaultd.effects import Send
from vaultd.errors import Misconfigured, ProtocolError, TryLater
from vaultd.oauth.endpoints import login_of, resolve

METADATA = {
    "issuer": "https://auth.x.ai",
    "device_authorization_endpoint": "https://auth.x.ai/device",
    "token_endpoint": "https://auth.x.ai/token",
}


def discovered(**change: Any) -> Any:
    found = {name: value for name, value in {**METADATA, **change}.items() if value is not None}
    return play(resolve(shipped("xai"), "device", "token", now=NOW), (Send, answered(found)))


def test_an_issuers_addresses_are_found() -> None:
    assert discovered().urls["token"] == "https://auth.x.ai/token"
    assert discovered(authorization_response_iss_parameter_supported=True).names_itself


def test_the_manifest_wins_and_then_nobody_is_asked() -> None:
    overlaid = shipped("xai", endpoints={"device": "https://a.example/d", "token": "https://a.example/t"})

    with pytest.raises(StopIteration) as done:
        next(resolve(overlaid, "device", "token", now=NOW))
    assert done.value.value.urls["token"] == "https://a.example/t"


@pytest.mark.parametrize("methods", [["plain"], [], "S256"])
def test_sec_03_an_issuer_without_s256_is_not_used(methods: Any) -> None:
    with pytest.raises(ProtocolError, match="S256"):
        discovered(code_challenge_methods_supported=methods)
    assert discovered(code_challenge_methods_supported=["plain", "S256"])


@pytest.mark.parametrize("issuer", ["https://auth.x.ai/", "https://evil.example", "https://AUTH.x.ai", None, 7])
def test_sec_06_another_issuers_page_is_refused(issuer: Any) -> None:
    with pytest.raises(ProtocolError, match="issuer"):
        discovered(issuer=issuer)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.x.ai/token",
        "https://evil.example/token",
        "https://x.ai.evil.example/token",
        "https://evilx.ai/token",
        "ftp://auth.x.ai/token",
        7,
    ],
)
def test_sec_06_a_published_address_must_be_https_and_on_a_host_of_the_issuer(url: Any) -> None:
    with pytest.raises(ProtocolError, match="token_endpoint"):
        discovered(token_endpoint=url)


def test_sec_06_no_environment_switch_makes_plain_http_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")

    assert not is_secure("http://auth.example/token")
    with pytest.raises(ProtocolError):
        discovered(token_endpoint="http://auth.x.ai/token")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://a.example/x", True),
        ("http://127.0.0.1:9/x", True),
        ("http://[::1]:9/x", True),
        ("http://localhost:9/x", True),
        ("http://localhost.evil.example/x", False),
        ("http://10.0.0.1/x", False),
        ("https://user@a.example/x", False),
        ("https://a.example:port/x", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("https://a.example/\n", False),
    ],
)
def test_sec_06_secure_is_https_or_http_on_loopback(url: str, good: bool) -> None:
    assert is_secure(url) is good


def test_an_address_nobody_gives_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"endpoints\.device"):
        discovered(device_authorization_endpoint=None)


def test_an_issuer_that_is_down_is_a_passing_failure() -> None:
    with pytest.raises(TryLater):
        play(resolve(shipped("xai"), "token", now=NOW), (Send, answered(b"<html>", 503)))


def test_a_provider_of_keys_has_no_login() -> None:
    with pytest.raises(Misconfigured, match="credentials add"):
        login_of(shipped("claude-api-key"))
