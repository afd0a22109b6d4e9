"""Who signed in, read from where the manifest says (`oauth.account`): the token answer, the id_token, or user info.

The id_token's signature is not checked: it came straight from the token endpoint over TLS, which OpenID Connect Core
§3.1.3.7 (6) lets stand for it. Its claims name a file and are shown; nothing is permitted because of them (SEC-32).
One that is unsigned, expired or made for another client is not read at all.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow, Send
from vaultd.errors import ProtocolError, VaultdError
from vaultd.oauth.answers import failure, strict_object
from vaultd.oauth.endpoints import login_of
from vaultd.oauth.tokens import Account, Tokens

#: Shown in tables and part of a file's name; an email is at most 254 (RFC 5321 §4.5.3.1.3).
MAX_FACT = 320


def read_account(
    provider: Provider, answer: Mapping[str, Any], tokens: Tokens, *, now: float, userinfo: str = ""
) -> Flow[Account]:
    """What the manifest's source says; asks user info only where that is the source and its address is given."""
    source = login_of(provider).account.source
    if source == "answer":
        return account_from(provider, answer)
    if source == "id-token" and tokens.id_token is not None:
        return account_from(provider, claims(tokens.id_token.reveal(), login_of(provider).client_id, now))
    if source == "userinfo" and userinfo:
        bearer = {"Authorization": f"Bearer {tokens.access.reveal()}", "Accept": "application/json"}
        reply = yield Send("GET", userinfo, bearer)
        if reply.status != 200:
            raise failure(reply, now=now)
        return account_from(provider, strict_object(reply))
    return Account()


def account_from(provider: Provider, source: Mapping[str, Any]) -> Account:
    paths = login_of(provider).account
    facts = {name: value for name, path in paths.facts.items() if (value := _at(source, path)) is not None}
    return Account(
        person=_text(source, paths.person),
        account=_text(source, paths.account),
        email=_text(source, paths.email),
        plan=_text(source, paths.plan),
        facts=facts,
    )


def merged(known: Account, new: Account) -> Account:
    """`new` over `known`: an answer that does not repeat a fact does not take it back."""
    return replace(
        known,
        person=new.person or known.person,
        account=new.account or known.account,
        email=new.email or known.email,
        plan=new.plan or known.plan,
        facts={**known.facts, **new.facts},
    )


def claims(id_token: str, client_id: str, now: float) -> Mapping[str, Any]:
    """The id_token's claims; empty where it is none, unsigned, expired, or for another audience (SEC-32)."""
    parts = id_token.split(".")
    if len(parts) != 3 or not parts[2]:
        return {}
    try:
        header, payload = (_segment(part) for part in parts[:2])
    except VaultdError:
        return {}
    if str(header.get("alg", "none")).lower() == "none":
        return {}
    audience = payload.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        return {}
    expires = payload.get("exp")
    if not isinstance(expires, int | float) or expires <= now:
        return {}
    return payload


def _segment(part: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ProtocolError("the id_token is not a JWT") from error
    if not isinstance(value, dict):
        raise ProtocolError("the id_token is not a JWT")
    return value


def _at(source: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = source
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if path else None


def _text(source: Mapping[str, Any], path: Sequence[str]) -> str:
    value = _at(source, path)
    if not isinstance(value, str) or len(value) > MAX_FACT:
        return ""
    return "".join(c for c in value if c.isprintable()).strip()
