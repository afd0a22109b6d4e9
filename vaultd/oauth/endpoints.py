"""Which addresses a flow may use: the manifest's, or those its issuer publishes (RFC 8414, OIDC Discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vaultd.catalog.manifest import OAuth, Provider
from vaultd.catalog.secure import is_secure
from vaultd.effects import Flow, Reply, Send
from vaultd.errors import Misconfigured, ProtocolError
from vaultd.oauth.answers import failure, strict_object

#: Our leaf names → the registered metadata names (RFC 8414 §2, RFC 8628 §4).
_METADATA = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "device": "device_authorization_endpoint",
    "userinfo": "userinfo_endpoint",
    "revoke": "revocation_endpoint",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses by leaf name, fixed when the flow starts: its token request goes to these and no other (SEC-05)."""

    urls: Mapping[str, str]
    #: The issuer says that it always names itself in its answers (RFC 9207 §3).
    names_itself: bool = False


def resolve(provider: Provider, *needed: str, now: float) -> Flow[Endpoints]:
    """The endpoints of a flow, `needed` among them. Asks the issuer only for what the manifest does not say."""
    urls = dict(provider.endpoints)
    oauth = login_of(provider)
    names_itself = False
    if oauth.issuer and not all(urls.get(name) for name in needed):
        url = oauth.issuer.rstrip("/") + "/.well-known/openid-configuration"  # OpenID Connect Discovery §4.1
        metadata = _metadata(oauth, (yield Send("GET", url, {"Accept": "application/json"})), now)
        published = {
            ours: _allowed(oauth, metadata, theirs) for ours, theirs in _METADATA.items() if theirs in metadata
        }
        urls = {**published, **urls}
        names_itself = metadata.get("authorization_response_iss_parameter_supported") is True
    for name in needed:
        if not urls.get(name):
            raise Misconfigured(f"{provider.id}: the manifest names no endpoints.{name}, and its issuer gives none")
        if not is_secure(urls[name]):
            raise Misconfigured(f"{provider.id}: endpoints.{name} must be https, or http on loopback")
    return Endpoints(urls, names_itself)


def login_of(provider: Provider) -> OAuth:
    """The manifest's `oauth` part. Raises Misconfigured for a provider that knows keys only."""
    if provider.oauth is None:
        raise Misconfigured(f"{provider.id} has no login; add a key with `vaultd credentials add {provider.id}`")
    return provider.oauth


def _metadata(oauth: OAuth, reply: Reply, now: float) -> dict[str, Any]:
    if reply.status != 200:
        raise failure(reply, now=now)
    metadata = strict_object(reply)
    if metadata.get("issuer") != oauth.issuer:  # RFC 8414 §3.3: identical, or it is another server's page
        raise ProtocolError("the discovery document is another issuer's")
    methods = metadata.get("code_challenge_methods_supported")
    if methods is not None and oauth.pkce == "S256" and (not isinstance(methods, list) or "S256" not in methods):
        raise ProtocolError("the issuer does not support PKCE with S256 (RFC 9700 §2.1.1)")
    return metadata


def _allowed(oauth: OAuth, metadata: dict[str, Any], name: str) -> str:
    url = metadata[name]
    if not isinstance(url, str) or not is_secure(url):
        raise ProtocolError(f"the issuer's {name} is not an https address")
    host = urlsplit(url).hostname or ""
    hosts = oauth.issuer_hosts or [urlsplit(oauth.issuer).hostname or ""]
    if not any(host == allowed or host.endswith("." + allowed) for allowed in hosts):
        raise ProtocolError(f"the issuer's {name} is on a host the manifest does not allow")
    return url
