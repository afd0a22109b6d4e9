"""Request hooks by name: what a vendor's backend insists on and no manifest leaf can say.

A manifest names them in `api.hooks`. Each is a row of docs/honest-relay.md; there are no others.
"""

from __future__ import annotations

from vaultd.catalog.hooks import req_anthropic, req_chat_usage, req_codex, req_gemini, req_gemini_envelope
from vaultd.catalog.hooks.req_first_system import first_system
from vaultd.catalog.hooks.shape import RequestHook
from vaultd.catalog.manifest import Api

REQUEST_HOOKS: dict[str, RequestHook] = {
    "anthropic-fixes": req_anthropic.HOOK,
    "chat-stream-usage": req_chat_usage.HOOK,
    "codex-body": req_codex.HOOK,
    "gemini-envelope": req_gemini_envelope.HOOK,
    "gemini-fixes": req_gemini.HOOK,
}


def hooks_of(api: Api) -> list[RequestHook]:
    """Those of one vendor, in order. KeyError for a name that nobody has; `catalog.rules` lets none through."""
    asked_for = [first_system(api.first_system)] if api.first_system else []
    return asked_for + [REQUEST_HOOKS[name] for name in api.hooks]
