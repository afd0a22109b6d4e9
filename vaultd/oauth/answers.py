"""What a token endpoint answers, judged: tokens, or one of our errors (RFC 6749 §5; SEC-29, SEC-30, SEC-31).

Whether a login is dead is decided from the `error` field alone, never by searching text; an HTML page, an empty body
or a 5xx is the vendor's bad day and never "logged out".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from vaultd.effects import Reply
from vaultd.errors import ProtocolError, SignInRequired, TryLater, UpstreamRefused, VaultdError
from vaultd.oauth.tokens import Tokens
from vaultd.secret import Secret

#: A token answer is one object with at most an object in it (Claude's `account`); id_token claims nest three deep.
MAX_DEPTH = 16
#: The largest token seen (Codex, with entitlements in the JWT) is 4 kB; header lines end at 16 KiB (`net.client`).
MAX_TOKEN = 16 * 1024
TEN_YEARS = 10 * 365 * 86400.0
#: A lifetime that makes no sense: soon enough that a wrong guess costs one renewal.
NONSENSE_LIFETIME = 300.0
#: A person reads this much of a vendor's words (SEC-24).
SHOWN = 200

#: RFC 6749 §5.2, RFC 8628 §3.5, and what openai/codex answers to a replayed refresh token (SEC-48).
TERMINAL = frozenset(
    {
        "invalid_grant",
        "access_denied",
        "expired_token",
        "refresh_token_reused",
        "refresh_token_expired",
        "refresh_token_invalidated",
    }
)
#: RFC 6749 §4.1.2.1 names the first two for the authorization endpoint; token endpoints use them all the same.
TEMPORARY = frozenset({"temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"})
TEMPORARY_STATUS = frozenset({408, 425, 429})
#: Redirects are not followed (SEC-28); without an OAuth error these are no answer of a token endpoint.
_GONE = frozenset({301, 302, 303, 307, 308, 404, 410})
#: How a failure begins where nobody is at the address any more: the endpoint moved, and the manifest is out of date
#: (console.anthropic.com became platform.claude.com in 2026, and relays broke one by one).
MOVED = "the vendor's endpoint is not there any more"

_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6750 §2.1 is narrower; no vendor's token holds a space or a line break
_CODE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")  # RFC 6749 §5.2, without the space


def strict_object(reply: Reply) -> dict[str, Any]:
    """The body as one JSON object, whatever its content type says.

    Raises TryLater where the body is no JSON at all (a proxy's page), ProtocolError where it is JSON of another kind.
    """
    try:
        value = json.loads(reply.body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise TryLater(f"the answer (status {reply.status}) is not JSON", outcome_unknown=reply.status < 300) from None
    except (RecursionError, ValueError):  # ValueError: an integer of more than 4,300 digits
        raise ProtocolError(f"the answer (status {reply.status}) nests too deep or holds absurd numbers") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"the answer (status {reply.status}) is not a JSON object")
    if _deeper_than(value, MAX_DEPTH):
        raise ProtocolError(f"the answer (status {reply.status}) nests deeper than {MAX_DEPTH}")
    return value


def read_tokens(reply: Reply, *, now: float, default_lifetime: float, terminal: Collection[str] = ()) -> Tokens:
    """The tokens of a 2xx answer without `error`; raises `failure(...)` for any other."""
    if not 200 <= reply.status < 300:
        raise failure(reply, now=now, terminal=terminal)
    answer = strict_object(reply)
    if "error" in answer and "access_token" not in answer:
        raise failure(reply, now=now, terminal=terminal)
    token_type = answer.get("token_type") or "Bearer"
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise ProtocolError("the answer's token_type is not Bearer")
    access = _token(answer, "access_token")
    if access is None:
        raise ProtocolError("the answer holds no access_token")
    seconds, _ = lifetime(answer, default_lifetime)
    scope = answer.get("scope")
    return Tokens(
        access=access,
        refresh=_token(answer, "refresh_token"),
        id_token=_token(answer, "id_token"),
        scope=scope if isinstance(scope, str) else " ".join(map(str, scope)) if isinstance(scope, list) else "",
        issued_at=now,
        expires_at=now + seconds,
    )


def lifetime(answer: dict[str, Any], default: float) -> tuple[float, str]:
    """`expires_in` in seconds, and a warning where it made no sense (SEC-31). Zero or less: expired now."""
    stated = answer.get("expires_in")
    if stated is None:
        return default, ""
    try:
        seconds = float(stated) if isinstance(stated, int | float | str) and not isinstance(stated, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds > TEN_YEARS:
        return NONSENSE_LIFETIME, "expires_in makes no sense; the token is taken to live 5 minutes"
    return max(0.0, seconds), ""


def failure(reply: Reply, *, now: float, terminal: Collection[str] = ()) -> VaultdError:
    """The error an answer without tokens stands for: a person acts, wait, or pass it on."""
    after = retry_after(reply, now)
    if reply.status >= 500 or reply.status in TEMPORARY_STATUS:
        return TryLater(f"the vendor answered {reply.status}", after=after)
    code, words = error_of(reply)
    if code in TERMINAL or code in terminal:
        return SignInRequired(_sentence("the vendor says", code, words))
    if code in TEMPORARY:
        return TryLater(_sentence("the vendor says", code, words), after=after)
    if not code and reply.status in _GONE:
        return TryLater(f"{MOVED} (it answered {reply.status})", after=after)
    if not code and not _is_json(reply):
        return TryLater(f"the vendor answered {reply.status} with a page instead of JSON", after=after)
    message = _sentence(f"the vendor refused with status {reply.status}", code, words)
    return UpstreamRefused(message, status=reply.status, code=code)


def error_of(reply: Reply) -> tuple[str, str]:
    """(code, description) of an error answer: RFC 6749's strings, or an `error` object with a `code` (OpenAI)."""
    try:
        answer = strict_object(reply)
    except VaultdError:
        return "", ""
    error = answer.get("error")
    words = answer.get("error_description")
    if isinstance(error, dict):
        words = error.get("message", words)
        # Google's `code` is the status as a number; its word for it is in `status`.
        error = next((error[name] for name in ("code", "type", "status") if isinstance(error.get(name), str)), "")
    code = error if isinstance(error, str) and _CODE.fullmatch(error) else ""
    return code, shown(words) if isinstance(words, str) else ""


def shown(text: str) -> str:
    """A vendor's words, fit for a terminal: no control or formatting characters, cut to 200 (SEC-24)."""
    clean = "".join(c if c.isprintable() else " " for c in text[: SHOWN * 4])
    clean = " ".join(clean.split())
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"


def retry_after(reply: Reply, now: float) -> float | None:
    """`Retry-After` in seconds: a number, or an HTTP date (RFC 9110 §10.2.3). None where absent or unreadable.

    A date is read by the clock of who wrote it, as his `Date` shows it: ours may be years off (SEC-51).
    """
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    until = _moment(value)
    stated = _moment(reply.headers.get("date", ""))
    return None if until is None else max(0.0, until - (now if stated is None else stated))


def _moment(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _token(answer: dict[str, Any], name: str) -> Secret | None:
    value = answer.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_TOKEN or not _TOKEN.fullmatch(value):
        raise ProtocolError(f"the answer's {name} is not one line of printable ASCII of at most {MAX_TOKEN} bytes")
    return Secret(value)


def _sentence(start: str, code: str, words: str) -> str:
    return start + (f" ({code})" if code else "") + (f": {words}" if words else "")


def _is_json(reply: Reply) -> bool:
    try:
        strict_object(reply)
    except TryLater:
        return False
    except ProtocolError:
        return True
    return True


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ProtocolError("the answer repeats a key")
    return value


def _no_constant(name: str) -> float:
    return math.nan if name == "NaN" else math.inf


def _deeper_than(value: object, depth: int) -> bool:
    level: list[object] = [value]
    for _ in range(depth):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(item: object) -> Collection[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


#: Gives the wall clock's time: a flow stamps tokens the moment they arrive, and reads no clock of its own.
Stamp = Callable[[], float]
