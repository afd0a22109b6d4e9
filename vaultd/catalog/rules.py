"""What a manifest must hold to beyond its types: endpoints that cannot leak, complete flows, hooks that exist.

A gap is an error at start, not in the middle of a sign-in. Pure: values in, faults out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from vaultd.catalog.hooks.flows import FLOW_HOOKS
from vaultd.catalog.hooks.requests import REQUEST_HOOKS
from vaultd.catalog.manifest import Api, CredentialRefusal, OAuth, Provider, duration
from vaultd.catalog.secure import fault
from vaultd.config.yaml import Fault, nearest
from vaultd.errors import Misconfigured

#: An id is a command-line option, the start of a file's name and the scheme of `id://model`.
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

#: Every endpoint that some flow, hook or relay asks a manifest for. A name nobody asks for is a mistyped one.
_ENDPOINTS: Final = (
    "api", "authorize", "token", "revoke", "userinfo", "device", "device-usercode", "device-token", "device-page",
    "projects", "services",
)  # fmt: skip
#: Error codes that vendors give to whatever a client did wrong.
_EVERYWHERE: Final = frozenset(
    {"invalid_request_error", "invalid_argument", "failed_precondition", "not_found_error", "not_found"}
)
_NEEDED: Final = {
    "code": ("authorize", "token"),
    "device": ("device", "token"),
    "codex": ("device-usercode", "device-token", "device-page"),
}


def broken(provider: Provider, *, free_api: bool) -> Iterator[Fault]:
    """Every rule `provider` breaks. `free_api`: `endpoints.api` is a key entry's base-url, the operator's own word."""
    if not _ID.fullmatch(provider.id) and not free_api:
        yield Fault("id", "only a-z, 0-9 and `-`, at most 40 characters")
    if "api" not in provider.endpoints:
        yield Fault("endpoints.api", "is missing")
    for name, url in provider.endpoints.items():
        if name not in _ENDPOINTS:
            yield Fault(f"endpoints.{name}", f"no such endpoint{nearest(name, _ENDPOINTS)}")
        if (why := fault(url)) and not (free_api and name == "api"):
            yield Fault(f"endpoints.{name}", why)
    if provider.sunset and not _is_day(provider.sunset):
        yield Fault("sunset", "is not a day, YYYY-MM-DD")
    yield from _broken_api(provider.api)
    if provider.oauth is not None:
        yield from _broken_oauth(provider.oauth, provider.endpoints)
    elif not provider.keys:
        yield Fault("oauth", "is missing; without it `keys: true` must allow API keys")


def _broken_api(api: Api) -> Iterator[Fault]:
    yield from _unknown("api.hooks", api.hooks, list(REQUEST_HOOKS))
    if api.first_system and not api.first_system.strip():
        yield Fault("api.first-system", "holds no text; leave it out to put nothing before the client's")
    for index, refusal in enumerate(api.refusals):
        yield from _broken_refusal(f"api.refusals[{index}]", refusal)
    if "" in api.first_system_refusals:
        yield Fault("api.first-system-refusals", "an empty text stands in every answer")


def _broken_refusal(where: str, refusal: CredentialRefusal) -> Iterator[Fault]:
    """A row that fits any malformed request would ask every credential of the pool for it."""
    if not all(text.strip() for text in (*refusal.code, *refusal.says)):
        yield Fault(where, "an empty text stands in every answer")
    elif not refusal.says and not refusal.code:
        yield Fault(where, "would fit every refusal of that status; give `code` or `says`")
    elif not refusal.says and (wide := _EVERYWHERE & {code.lower() for code in refusal.code}):
        yield Fault(where, f"`{min(wide)}` stands for any bad request; give `says` too")


def _broken_oauth(oauth: OAuth, endpoints: dict[str, str]) -> Iterator[Fault]:
    yield from _unknown("oauth.signed-in", oauth.signed_in, list(FLOW_HOOKS))
    yield from _unknown("oauth.renewed", oauth.renewed, list(FLOW_HOOKS))
    for key, text in (("refresh-ahead", oauth.refresh_ahead), ("default-lifetime", oauth.default_lifetime)):
        try:
            duration(text)
        except Misconfigured as error:
            yield Fault(f"oauth.{key}", str(error))
    if oauth.issuer and (why := fault(oauth.issuer)):
        yield Fault("oauth.issuer", why)
    if not oauth.issuer:
        for name in _NEEDED[oauth.flow] + (_NEEDED["codex"] if oauth.device == "codex" else ()):
            if name not in endpoints:
                yield Fault(f"endpoints.{name}", f"is missing; `oauth.flow: {oauth.flow}` needs it")
    if oauth.flow == "code" and oauth.redirect is None:
        yield Fault("oauth.redirect", "is missing; the code flow needs port and path")
    if oauth.flow == "device" and oauth.device == "none":
        yield Fault("oauth.device", "is missing; write `rfc8628`")


def _unknown(key: str, names: list[str], known: list[str]) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            yield Fault(key, f"no hook `{name}`{nearest(name, known)}")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
