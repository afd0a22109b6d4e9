"""Where one credential's requests go and what they carry, worked out once per credential and generation.

Here a token meets a host, so here is the rule that it only ever meets its own vendor's (THR-42). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import quote, urlsplit

from vaultd.catalog.hooks.requests import REQUEST_HOOKS, hooks_of
from vaultd.catalog.hooks.shape import Action, RequestHook
from vaultd.catalog.manifest import Entry, FormatName, Provider
from vaultd.errors import Misconfigured
from vaultd.vault.credential import Credential
from vaultd.wire.formats import FORMATS
from vaultd.work.headers import FRAMING, USER_AGENT

_METHODS: Final[dict[Action, str]] = {
    "generate": "generateContent",
    "stream": "streamGenerateContent",
    "count": "countTokens",
}


@dataclass(frozen=True, slots=True)
class Address:
    """`fixed` holds the secret: never shown, never logged."""

    base: str
    defaults: Mapping[str, str]
    fixed: Mapping[str, str]
    appended: Mapping[str, str]
    hooks: Sequence[RequestHook]

    def __repr__(self) -> str:
        return f"Address({self.base})"


def address_of(credential: Credential, entry: Entry) -> Address:
    """Raises Misconfigured naming the credential where it leads to a host that is not its vendor's."""
    provider = entry.provider
    base = _base(credential, entry).rstrip("/")
    fixed = {"content-type": "application/json", "accept-encoding": "identity"}
    fixed |= _auth(credential, provider, base)
    for header, fact in provider.api.fact_headers.items():
        value = credential.account.facts.get(fact) or (credential.account.account if fact == "account" else "")
        if value:
            fixed[header] = str(value)
    for name, value in credential.settings.headers.items():
        if name.lower() not in FRAMING:
            fixed[name.lower()] = value
    for name, value in fixed.items():
        if not value.isprintable() or not value.isascii():
            raise Misconfigured(f"{credential.id}: what goes into the header `{name}` holds characters no header may")
    defaults = {"user-agent": USER_AGENT} | {name.lower(): value for name, value in provider.api.headers.items()}
    appended = {name.lower(): value for name, value in provider.api.append_headers.items()}
    return Address(base, defaults, fixed, appended, _hooks(provider))


def url_of(address: Address, provider: Provider, fmt: FormatName, action: Action, model: str, query: str) -> str | None:
    """None where the vendor has no such call. `query` is the client's, already reduced to what passes."""
    api, face = provider.api, FORMATS[fmt]
    path = api.count_paths.get(fmt) if action == "count" else api.paths.get(fmt, face.PATH)
    if path is None:
        return None
    path = path.replace("{model}", quote(model, safe="")).replace("{method}", _METHODS[action])
    added = [pair for pair in api.query.get(fmt, "").split("&") if pair and pair not in query.split("&")]
    queries = "&".join([*([query] if query else []), *added])
    return f"{address.base}{path}?{queries}" if queries else f"{address.base}{path}"


def _base(credential: Credential, entry: Entry) -> str:
    """The operator's word on this key; else what the token names, if its vendor may be there; else the manifest's.

    An overlaid `endpoints.api` is the operator's word too, and wins over the token's.
    """
    api, own = entry.provider.api, entry.provider.endpoints["api"]
    if credential.kind == "key":
        return credential.settings.base_url or own
    named = credential.account.facts.get(api.base_fact) if api.base_fact else None
    if not named or not isinstance(named, str) or entry.origins.get("endpoints.api", "").startswith("config"):
        return own
    parts = urlsplit(named if "://" in named else f"https://{named}")
    host = parts.hostname or ""
    if parts.scheme != "https" or parts.username or not any(fnmatchcase(host, glob) for glob in api.hosts):
        raise Misconfigured(
            f"{credential.id}: its token names the host {host[:80]!r}, which is none of {entry.provider.id}'s "
            f"(`api.hosts`); set `providers.{entry.provider.id}.endpoints.api` to choose one yourself"
        )
    path = parts.path.rstrip("/")
    return f"https://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}"


def _auth(credential: Credential, provider: Provider, base: str) -> dict[str, str]:
    secret = credential.bearer
    kind = provider.api.auth
    if provider.api.auth_elsewhere and urlsplit(base).netloc != urlsplit(provider.endpoints["api"]).netloc:
        kind = provider.api.auth_elsewhere
    if kind == "none" or not secret:
        return {}
    if kind == "bearer":
        return {"authorization": f"Bearer {secret.reveal()}"}
    return {kind: secret.reveal()}


def _hooks(provider: Provider) -> list[RequestHook]:
    for name in provider.api.hooks:
        if name not in REQUEST_HOOKS:
            raise Misconfigured(f"{provider.id}: api.hooks: no hook {name!r}; there are {', '.join(REQUEST_HOOKS)}")
    return hooks_of(provider.api)
