"""Whose file a text is: the one table of formats, each with what it is known by, who reads it, and what taking its
login over means for the program that wrote it (SEC-53).

A format is recognised by content; a name the operator gives must agree with it. The order counts: the more particular
first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaultd.errors import Misconfigured
from vaultd.work.importing import claude_code, cliproxyapi, codex, codex_lb, gemini_cli, iflow_cli, qwen_code
from vaultd.work.importing.fields import Around, Found, Members, object_of

_SINGLE_USE: Final = "The vendor lets a refresh token be used once"


@dataclass(frozen=True, slots=True)
class Format:
    """`client`: what people call the program. `login`: the members that are the login, where others share the file with
    it; empty where the whole file is. `taken`: what becomes of the program; `instead`: what to do instead."""

    client: str
    known_by: Callable[[Members], bool]
    read: Callable[[Members, str, Around], list[Found]]
    taken: str
    instead: str
    login: tuple[str, ...] = ()
    #: Whether the vendor lets two programs renew one login.
    shared: bool = False


FORMATS: Final[dict[str, Format]] = {
    "codex-lb": Format(
        "codex-lb",
        lambda file: file.get("format") == codex_lb.BUNDLE or "codexAuthJson" in file or "authJson" in file,
        codex_lb.read,
        f"{_SINGLE_USE}: codex-lb loses this account at its next refresh, and may end the login for both.",
        "pause or delete the account in codex-lb first; its clients then ask vaultd (POST /v1/responses)",
    ),
    "claude-code": Format(
        "Claude Code",
        lambda file: "claudeAiOauth" in file,
        claude_code.read,
        f"{_SINGLE_USE}: Claude Code is logged out at its next refresh (within hours), and may end the login for both.",
        "vaultd connect claude-code, or vaultd token claude as its apiKeyHelper",
        login=("claudeAiOauth",),
    ),
    "cliproxyapi": Format(
        "CLIProxyAPI",
        lambda file: "type" in file,
        cliproxyapi.read,
        f"{_SINGLE_USE}: CLIProxyAPI is logged out at its next refresh, and may end the login for both.",
        "stop CLIProxyAPI first; its clients keep their address and keys (docs/coming-from-cliproxyapi.md)",
    ),
    "codex": Format(
        "Codex",
        lambda file: isinstance(file.get("tokens"), dict) or "OPENAI_API_KEY" in file,
        codex.read,
        f"{_SINGLE_USE}: Codex is logged out at its next refresh, and may end the login for both.",
        "vaultd connect codex, or vaultd token codex as its auth command; no `codex logout`, which revokes the login",
    ),
    "iflow": Format(
        "iFlow CLI",
        lambda file: "apiKey" in file,
        iflow_cli.read,
        f"{_SINGLE_USE}: iFlow CLI is logged out at its next refresh, and each renewal makes another API key.",
        "point iFlow CLI at vaultd (POST /v1/chat/completions)",
    ),
    "qwen-code": Format(
        "Qwen Code",
        lambda file: "resource_url" in file,
        qwen_code.read,
        f"{_SINGLE_USE}: Qwen Code is logged out at its next refresh, and may end the login for both.",
        "vaultd connect qwen-code",
    ),
    "gemini-cli": Format(
        "Gemini CLI",
        lambda file: "id_token" in file or "googleapis.com" in str(file.get("scope", "")),
        gemini_cli.read,
        "Google lets a refresh token be used again, so Gemini CLI may go on; to sign out there may end both.",
        "vaultd connect gemini-cli",
        shared=True,
    ),
}


def recognised(file: Members, name: str, wanted: str = "") -> str:
    """The format's name. Raises Misconfigured where nothing tells, or it is another than `wanted`."""
    seen = next((format_ for format_, about in FORMATS.items() if about.known_by(file)), "")
    if wanted and seen and seen != wanted:
        raise Misconfigured(f"{name}: looks like a file of {FORMATS[seen].client}, not of {FORMATS[wanted].client}")
    if wanted or seen:
        return wanted or seen
    if "refresh_token" in file:
        raise Misconfigured(
            f"{name}: nothing in it tells whose it is: say so with --from (qwen-code, gemini-cli, iflow)"
        )
    known = ", ".join(about.client for about in FORMATS.values())
    raise Misconfigured(f"{name}: is no credential file that is known here ({known})")


def read(text: str, name: str, around: Around, wanted: str = "") -> tuple[str, list[Found]]:
    """The format, and what the file holds; ("sealed", []) for a file of a vault. Raises Misconfigured naming the file
    and what is wrong with it; never quotes it."""
    if text and text.count(":") == 2 and not text.lstrip().startswith("{"):
        raise Misconfigured(
            f"{name}: Gemini CLI has sealed it to that machine; unset GEMINI_FORCE_ENCRYPTED_FILE_STORAGE and sign in"
            " there again, or sign in here: vaultd login --gemini"
        )
    file = object_of(text, name)
    if cliproxyapi.is_sealed(file):
        return "sealed", []
    format_ = recognised(file, name, wanted)
    return format_, FORMATS[format_].read(file, name, around)
