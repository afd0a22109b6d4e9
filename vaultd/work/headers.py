"""Which headers pass, either way: allow-lists, so that what nobody thought of stays here (THR-10, THR-11). Pure.

Towards the vendor, vaultd adds only what authenticates or versions the API; it never names another program.
docs/honest-relay.md shows these lists, and a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from vaultd import __version__

#: Of the client's own headers, these go to the vendor.
REQUEST: Final = frozenset(
    {
        "user-agent",
        "accept",
        "originator",
        "version",
        "session_id",
        "session-id",
        "x-session-id",
        "x-session-affinity",
        "conversation_id",
        "conversation-id",
        # Codex with a lite model: its body has another shape, and the backend must be told.
        "x-openai-internal-codex-responses-lite",
    }
)
REQUEST_PREFIXES: Final = ("anthropic-", "openai-", "x-stainless-", "x-codex-")
#: Of the vendor's headers, these come back.
ANSWER: Final = frozenset({"content-type", "content-encoding", "retry-after", "x-request-id", "request-id"})
ANSWER_PREFIXES: Final = ("anthropic-ratelimit-", "x-ratelimit-", "openai-", "x-codex-")

USER_AGENT: Final = f"vaultd/{__version__}"
#: Ours alone: framing, and what names the peer or carries a secret. An operator's `headers` cannot set them either.
FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"})


#: Which of those name one family of APIs: they mean nothing to a vendor of another, and stay here.
FAMILIES: Final = {
    "anthropic-": ("anthropic-messages",),
    "openai-": ("openai-chat", "openai-responses"),
    "x-stainless-": (),
    "x-codex-": ("openai-responses",),
    "x-openai-": ("openai-responses",),
    "accept": (),
    "version": (),
    "originator": (),
}


def of_family(client: Mapping[str, str], fmt: str) -> dict[str, str]:
    """Of a client's headers those that a vendor of `fmt`, not the client's own format, may be told."""
    return {low: value for name, value in client.items() if _means(low := name.lower(), fmt)}


@lru_cache(256)
def _means(name: str, fmt: str) -> bool:
    family = next((formats for prefix, formats in FAMILIES.items() if name.startswith(prefix)), (fmt,))
    return fmt in family


def towards_vendor(
    client: Mapping[str, str], defaults: Mapping[str, str], fixed: Mapping[str, str], appended: Mapping[str, str]
) -> dict[str, str]:
    """Defaults, over them the client's own, over them what is fixed; then the tokens a list header must hold."""
    headers = dict(defaults)
    seen: set[str] = set()
    named = _named_by_connection(client)
    for name, value in client.items():
        low = name.lower()
        if (low in REQUEST or low.startswith(REQUEST_PREFIXES)) and low not in named and value.isascii():
            headers[low] = f"{headers[low]}, {value}" if low in seen else value
            seen.add(low)
    headers.update(fixed)
    for name, tokens in appended.items():
        headers[name] = with_tokens(headers.get(name, ""), tokens)
    return headers


def with_tokens(present: str, tokens: str) -> str:
    """`present` with those of `tokens` (both comma lists) appended that it lacks."""
    have = {token.strip() for token in present.split(",")}
    missing = [token.strip() for token in tokens.split(",") if token.strip() not in have]
    return ",".join([present, *missing] if present else missing)


def towards_client(vendor: Iterable[tuple[str, str]], wait: float | None = None) -> dict[str, str]:
    """What is not ASCII stays here: bytes that are no UTF-8 cannot be written again, and nobody reads them.

    `wait`: in how many seconds to come back, said where the vendor says it elsewhere: clients look in this one header.
    """
    headers: dict[str, str] = {}
    for name, value in vendor:
        low = name.lower()
        if (low in ANSWER or low.startswith(ANSWER_PREFIXES)) and value.isascii():
            headers[low] = value
    if wait is not None:
        headers.setdefault("retry-after", str(math.ceil(wait)))
    return headers


def _named_by_connection(client: Mapping[str, str]) -> frozenset[str]:
    """RFC 9110 §7.6.1: what `Connection` names is for this hop alone."""
    value = client.get("Connection")
    return frozenset(name.strip().lower() for name in value.split(",")) if value else frozenset()
