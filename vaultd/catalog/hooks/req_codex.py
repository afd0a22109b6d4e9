"""`codex-body`: the ChatGPT backend streams only, keeps nothing, and refuses members that the Responses API has.

What it refuses was recorded from CLIProxyAPI's history (its fixes after a 400 of the vendor's). No instructions are
made up: an absent text becomes an empty one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.catalog.hooks.req_codex_output import Hydrated
from vaultd.catalog.hooks.shape import NOWHERE, Asked, Body, CannotServe, Change, RequestHook, Row

#: Members the backend answers with 400.
REFUSED: Final = (
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "truncation",
    "user",
    "stream_options",
    "safety_identifier",
    "prompt_cache_retention",
)
#: The prefix an item's id must have; an id of another kind is dropped, for the backend would look for it and fail.
_PREFIXES: Final = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}
_LONGEST_ID: Final = 64
_ENCRYPTED: Final = "reasoning.encrypted_content"
#: The public API's older names of `web_search`, dated ones too; the backend knows the new one alone.
_OLD_SEARCH: Final = "web_search_preview"


class _Item(msgspec.Struct):
    """What decides whether an input item may go as it is. Looked at in one pass: a turn of 170 kB is not decoded."""

    id: str | None = None
    role: str | None = None
    type: str = ""
    encrypted_content: msgspec.Raw = msgspec.Raw(b"null")


#: Codex's own default (seen November 2025).
_REASONING: Final = {"effort": "medium", "summary": "auto"}

_items: Final = msgspec.json.Decoder(list[_Item])


def _edit(body: Body, asked: Asked) -> None:
    if body.raw("previous_response_id") not in {None, b"null"}:
        raise CannotServe(
            "`previous_response_id`: this vendor keeps no answers (`store` is false); send the whole `input`"
        )
    body.set_raw("store", b"false")
    body.set_raw("stream", b"true")
    if body.raw("instructions") in {None, b"null"}:
        body.set_raw("instructions", b'""')
    for name in REFUSED:
        body.drop(name)
    if body.raw("service_tier") not in {None, b'"priority"'}:
        body.drop("service_tier")
    if body.raw("prompt_cache_key") in {b'""', b"null"}:
        body.drop("prompt_cache_key")
    if asked.translated and "reasoning" not in body:
        body.set("reasoning", _REASONING)
    _ask_encrypted(body)
    for name in ("tools", "tool_choice"):
        if _OLD_SEARCH.encode() in (body.raw(name) or b""):
            body.set(name, _renamed(body.get(name)))
    if not asked.translated:  # what a grammar wrote has no role `system`, no ids and no reasoning without its seal
        _fit_input(body)


def _fit_input(body: Body) -> None:
    text = body.raw("input") or b""
    if text.startswith(b'"'):
        part = {"type": "input_text", "text": body.get("input")}
        body.set("input", [{"type": "message", "role": "user", "content": [part]}])
    elif not _acceptable(text):
        _edit_input(body)


def _ask_encrypted(body: Body) -> None:
    """What is not stored can only come back encrypted, and without it the next turn has lost its reasoning."""
    include = body.raw("include")
    if include in {None, b"null"}:
        body.set("include", [_ENCRYPTED])
    elif _ENCRYPTED.encode() not in include:
        listed = body.get("include")
        if isinstance(listed, list):
            body.set("include", [*listed, _ENCRYPTED])


def _renamed(said: Any) -> Any:
    """`tools`, or a `tool_choice` that names one or lists some."""
    if isinstance(said, list):
        return [_renamed(tool) for tool in said]
    if not isinstance(said, dict):
        return said
    kind = said.get("type")
    if isinstance(kind, str) and kind.startswith(_OLD_SEARCH):
        return said | {"type": "web_search"}
    return said | {"tools": _renamed(said["tools"])} if "tools" in said and kind == "allowed_tools" else said


def _acceptable(text: bytes) -> bool:
    try:
        items = _items.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    for item in items:
        if item.role == "system" or (item.type == "reasoning" and bytes(item.encrypted_content) in {b"null", b'""'}):
            return False
        if item.id is not None and not _fits(item.id, _PREFIXES.get(item.type or "message", "")):
            return False
    return True


def _edit_input(body: Body) -> None:
    items = body.get("input")
    if not isinstance(items, list):
        return
    kept = [_accepted(item) for item in items if not _unknown_reasoning(item)]
    if kept != items:
        body.set("input", kept)


def _unknown_reasoning(item: Any) -> bool:
    """Reasoning that the vendor was told not to store, without its encrypted text: an id that leads nowhere."""
    return isinstance(item, dict) and item.get("type") == "reasoning" and not item.get("encrypted_content")


def _accepted(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    item = dict(item)
    if item.get("role") == "system":
        item["role"] = "developer"
    kind = item.get("type", "message" if "role" in item else "")
    prefix, given = _PREFIXES.get(kind) if isinstance(kind, str) else None, item.get("id")
    if prefix and given is not None and not (isinstance(given, str) and _fits(given, prefix)):
        del item["id"]
    return item


def _fits(given: str, prefix: str) -> bool:
    return given.startswith(prefix) and len(given) <= _LONGEST_ID


def _mend(body: Body, error: bytes) -> bool:
    """Encrypted reasoning is readable to the account that made it alone: refused, it is dropped, once."""
    items = body.get("input")
    if b"encrypted_content" not in error or not isinstance(items, list):
        return False
    kept = [item for item in items if not (isinstance(item, dict) and item.get("type") == "reasoning")]
    body.set("input", kept)
    return len(kept) < len(items)


def _answer(asked: Asked) -> Change | None:
    return Change(bytes, NOWHERE, Hydrated()) if asked.action == "stream" and not asked.translated else None


_REFUSES: Final = "the backend answers 400"
_ROWS: Final = (
    Row("previous_response_id", "refused", "with 400, unless it is null", "the backend keeps no answers"),
    Row("store", "set", "`false`", "the backend keeps no answers, and answers 400 otherwise"),
    Row("stream", "set", "`true`; a client that wants a whole answer gets the last event's", "it only streams"),
    Row("instructions", "set", '`""`, where there are none', "the backend answers 400 without"),
    Row(
        "reasoning",
        "set",
        "`effort: medium, summary: auto`, in a translation of a request that says nothing of it",
        "what Codex itself asks for; without it clients of other formats see no thinking",
    ),
    Row("include", "set", f"`{_ENCRYPTED}` is added", "reasoning that is not stored has no other way back"),
    *(Row(name, "dropped", "", _REFUSES) for name in REFUSED),
    Row("service_tier", "dropped", "unless it is `priority`", _REFUSES),
    Row("prompt_cache_key", "dropped", "where it is empty", _REFUSES),
    Row("tools", "changed", "`web_search_preview`, dated or not, becomes `web_search`", "the backend knows this name"),
    Row("tool_choice", "changed", "likewise, also where it lists tools", "the backend knows this name"),
    Row(
        "input",
        "changed",
        "a text becomes one user message; role `system` becomes `developer`; an item's `id` of another kind or over "
        "64 characters is dropped, and so is reasoning without its encrypted text",
        "the backend refuses them, and has stored nothing that an id could name",
    ),
    Row("input", "mended", "its reasoning is dropped, once", "a 400 names encrypted text: another account's"),
    Row(
        "response.output",
        "answer",
        "in a stream's last event, where it is empty, the items that came before",
        "SDKs take the answer from it",
    ),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit, answer=_answer, mend=_mend)
