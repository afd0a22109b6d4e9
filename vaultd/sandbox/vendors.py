"""What each vendor insists on, as data: registered clients, redirect URIs, scopes, bodies, habits. No behaviour.

The values are those the real vendors registered for their own public programs, so that shipped manifests meet
the same refusals here as there. `invented` is a vendor nobody has heard of, for manifests dropped in by a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grammar = Literal["chat", "responses", "codex", "anthropic", "gemini"]


@dataclass(frozen=True, slots=True)
class Rules:
    """One vendor's law."""

    name: str
    client_id: str
    #: The grammar its errors are written in, and its inference speaks.
    grammar: Grammar
    client_secret: str = ""
    redirect_uris: tuple[str, ...] = ()
    #: Path below the vendor's prefix of its own page that shows the code to paste.
    paste_page: str = ""
    #: Any loopback port is as good as the registered one (RFC 8252 §7.3; Google does so for desktop clients).
    any_port: bool = False
    scopes: frozenset[str] = frozenset()
    needed_scopes: frozenset[str] = frozenset()
    pkce: Literal["required", "optional", "none"] = "required"
    response_type: Literal["code", "none"] = "code"
    redirect_param: str = "redirect_uri"
    #: What the token endpoint reads.
    body: Literal["form", "json"] = "form"
    client_auth: Literal["none", "body", "basic-and-body"] = "none"
    exchange_state: bool = False
    #: A refresh token only for `access_type=offline`, and again only for `prompt=consent` (Google).
    offline_access: bool = False
    refresh: Literal["rotate", "absent"] = "rotate"
    access_seconds: float = 3600
    device_pkce: bool = False
    #: Pending and errors of the device flow arrive with HTTP 200 (Kimi).
    device_errors_are_200: bool = False


_GOOGLE = "https://www.googleapis.com/auth/"

RULES: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            name="codex",
            client_id="app_EMoamEEZ73f0CkXaXp7hrann",
            grammar="codex",
            redirect_uris=("http://localhost:1455/auth/callback",),
            scopes=frozenset({"openid", "profile", "email", "offline_access"}),
            needed_scopes=frozenset({"openid", "offline_access"}),
            access_seconds=10 * 86400,
        ),
        Rules(
            name="claude",
            client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            grammar="anthropic",
            redirect_uris=("http://localhost:54545/callback",),
            paste_page="/oauth/code/callback",
            scopes=frozenset(
                {
                    "org:create_api_key",
                    "user:profile",
                    "user:inference",
                    "user:sessions:claude_code",
                    "user:mcp_servers",
                    "user:file_upload",
                }
            ),
            needed_scopes=frozenset({"user:inference"}),
            body="json",
            exchange_state=True,
            access_seconds=8 * 3600,
        ),
        Rules(
            name="gemini",
            client_id="681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
            client_secret="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",  # noqa: S106 (public: ships inside the vendor's own program)
            grammar="gemini",
            redirect_uris=("http://localhost:8085/oauth2callback", "http://127.0.0.1:8085/oauth2callback"),
            scopes=frozenset(
                {f"{_GOOGLE}cloud-platform", f"{_GOOGLE}userinfo.email", f"{_GOOGLE}userinfo.profile", "openid"}
            ),
            needed_scopes=frozenset({f"{_GOOGLE}cloud-platform"}),
            pkce="optional",
            any_port=True,
            client_auth="body",
            offline_access=True,
            refresh="absent",
            access_seconds=3599,
        ),
        Rules(
            name="qwen",
            client_id="f0304373b74a44d2b584a3fb70ca9e56",
            grammar="chat",
            scopes=frozenset({"openid", "profile", "email", "model.completion"}),
            needed_scopes=frozenset({"model.completion"}),
            access_seconds=6 * 3600,
            device_pkce=True,
        ),
        Rules(
            name="iflow",
            client_id="10009311001",
            client_secret="4Z3YjXycVsQvyGF1etiNlIBB4RsqSDtW",  # noqa: S106 (public: ships inside the vendor's own program)
            grammar="chat",
            redirect_uris=("http://localhost:11451/oauth2callback",),
            pkce="none",
            response_type="none",
            redirect_param="redirect",
            client_auth="basic-and-body",
            access_seconds=2 * 86400,
        ),
        Rules(
            name="kimi",
            client_id="17e5f671-d194-4dfb-9706-5516cb48c098",
            grammar="chat",
            access_seconds=900,
            device_errors_are_200=True,
        ),
        Rules(
            name="xai",
            client_id="b1a00492-073a-47ea-816f-4c329264a828",
            grammar="chat",
            scopes=frozenset({"openid", "profile", "email", "offline_access", "grok-cli:access", "api:access"}),
            needed_scopes=frozenset({"openid", "offline_access"}),
            access_seconds=6 * 3600,
        ),
        Rules(
            name="invented",
            client_id="invented-client",
            grammar="chat",
            redirect_uris=("http://127.0.0.1:17171/callback", "http://localhost:17171/callback"),
            any_port=True,
            scopes=frozenset({"openid", "email", "models"}),
        ),
    )
}


def overlay(url: str) -> dict[str, dict[str, dict[str, str]]]:
    """The `providers:` config overlay that points every shipped manifest at the sandbox at `url`."""
    return {
        "codex": {
            "endpoints": {
                "authorize": f"{url}/codex/oauth/authorize",
                "token": f"{url}/codex/oauth/token",
                "revoke": f"{url}/codex/oauth/revoke",
                "device-usercode": f"{url}/codex/api/accounts/deviceauth/usercode",
                "device-token": f"{url}/codex/api/accounts/deviceauth/token",
                "device-page": f"{url}/codex/codex/device",
                "api": f"{url}/codex/backend-api/codex",
            }
        },
        "claude": {
            "endpoints": {
                "authorize": f"{url}/claude/oauth/authorize",
                "token": f"{url}/claude/v1/oauth/token",
                "api": f"{url}/claude",
            },
            "oauth": {"paste-redirect": f"{url}/claude/oauth/code/callback"},
        },
        "gemini": {
            "endpoints": {
                "authorize": f"{url}/gemini/o/oauth2/auth",
                "token": f"{url}/gemini/token",
                "revoke": f"{url}/gemini/revoke",
                "userinfo": f"{url}/gemini/oauth2/v1/userinfo",
                "projects": f"{url}/gemini/v1/projects",
                "services": f"{url}/gemini/services/v1",
                "api": f"{url}/gemini",
            }
        },
        "qwen": {
            "endpoints": {
                "device": f"{url}/qwen/api/v1/oauth2/device/code",
                "token": f"{url}/qwen/api/v1/oauth2/token",
                "api": f"{url}/qwen/v1",
            }
        },
        "iflow": {
            "endpoints": {
                "authorize": f"{url}/iflow/oauth",
                "token": f"{url}/iflow/oauth/token",
                "userinfo": f"{url}/iflow/api/oauth/getUserInfo",
                "api": f"{url}/iflow/v1",
            }
        },
        "kimi": {
            "endpoints": {
                "device": f"{url}/kimi/api/oauth/device_authorization",
                "token": f"{url}/kimi/api/oauth/token",
                "api": f"{url}/kimi/coding/v1",
            }
        },
        "xai": {
            "endpoints": {
                "device": f"{url}/xai/oauth2/device/code",
                "token": f"{url}/xai/oauth2/token",
                "api": f"{url}/xai/v1",
            }
        },
    }


def key_bases(url: str) -> dict[str, str]:
    """Where API keys are taken: provider id of key credentials → its `base-url` here (`openai`: any compatible one)."""
    return {
        "gemini-api-key": f"{url}/gemini",
        "claude-api-key": f"{url}/claude",
        "codex-api-key": f"{url}/codex/v1",
        "openai": f"{url}/invented/v1",
    }
