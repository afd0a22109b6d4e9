"""Who may ask: a live access token of this vendor, or an API key. Refusals in the vendor's own words."""

from __future__ import annotations

from dataclasses import dataclass

from vaultd.sandbox import limits
from vaultd.sandbox.call import Call
from vaultd.sandbox.records import ISSUED, Access, GrantError, mask
from vaultd.sandbox.refusal import llm
from vaultd.sandbox.vendors import Grammar

_WORDS = {
    "token_expired": "Provided authentication token is expired. Please try signing in again.",
    "token_revoked": "Encountered invalidated oauth token for user, failing request",
    "token_invalidated": "Your authentication token has been invalidated. Please try signing in again.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `access` is None for an API key."""

    access: Access | None

    @property
    def mint(self) -> str:
        """Told apart in what only this account may send back (encrypted reasoning)."""
        return self.access.family.account.account if self.access else "key"


def oauth_caller(call: Call, grammar: Grammar) -> Caller:
    """By access token alone."""
    if not call.bearer():
        raise llm(grammar, 401, "Missing bearer authentication in header", code="missing_token")
    call.vendor.uses[mask(call.bearer())] += 1
    call.vendor.counts["presented:access"] += 1
    try:
        access = call.vendor.live(call.bearer())
        if call.vendor.switches.refuse_access:
            raise GrantError("invalid_token", "this vendor takes no token", detail="token_invalidated")
        return Caller(access)
    except GrantError as error:
        call.vendor.counts["refused:access"] += 1
        call.vendor.counts[f"refused:{error.detail}"] += 1
        raise llm(grammar, 401, _WORDS.get(error.detail, error.why), code=error.detail) from None


def key_caller(call: Call, grammar: Grammar, key: str) -> Caller:
    """By API key: any a person made up that holds CANARY, but for those listed as bad."""
    call.vendor.counts["presented:key"] += 1
    if "CANARY" not in key or ISSUED.match(key) or key in call.vendor.switches.bad_keys:
        call.vendor.counts["refused:key"] += 1
        message = "invalid x-api-key" if grammar == "anthropic" else "Incorrect API key provided."
        raise llm(grammar, 401, message, code="invalid_api_key")
    call.vendor.uses[mask(key)] += 1
    return Caller(None)


def any_caller(call: Call, grammar: Grammar) -> Caller:
    """By access token or API key, both as bearer."""
    if call.bearer() and not ISSUED.match(call.bearer()):
        return key_caller(call, grammar, call.bearer())
    return oauth_caller(call, grammar)


def check_model(call: Call, grammar: Grammar, model: str) -> None:
    """Whether there is such a model, and whether this caller may and can use it now."""
    if not model or model in call.vendor.switches.missing_models:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise llm(grammar, 404, message, code="model_not_found")
    limits.check(call, grammar, model)
