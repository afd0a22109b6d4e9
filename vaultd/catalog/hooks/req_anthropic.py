"""`anthropic-fixes`: three combinations that api.anthropic.com answers with 400, brought to what it takes; and thinking
that it has not signed, which other vendors of its format make and it refuses when it comes back."""

from __future__ import annotations

from typing import Any, Final

from vaultd.catalog.hooks.shape import Asked, Body, RequestHook, Row

#: The smallest thinking budget the API takes (its documentation of extended thinking).
_LEAST_BUDGET: Final = 1024


def _edit(body: Body, asked: Asked) -> None:
    if "top_p" in body and "temperature" in body:
        body.drop("top_p")
    if asked.action == "count" or "thinking" not in body:
        return
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") == "disabled":
        return
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        body.drop("thinking")  # thinking and a forced tool exclude each other
        return
    budget, most = thinking.get("budget_tokens"), body.get("max_tokens")
    if isinstance(budget, int) and isinstance(most, int) and budget >= most > _LEAST_BUDGET:
        body.set("thinking", thinking | {"budget_tokens": most - 1})


def _mend(body: Body, error: bytes) -> bool:
    """What bears no signature is dropped; where all does, the API does not say which is refused."""
    messages = body.get("messages")
    if b"signature" not in error or b"thinking" not in error or not isinstance(messages, list):
        return False
    for signed in (True, False):
        kept = [told for message in messages if (told := _without_thinking(message, signed)) is not None]
        if kept != messages:
            body.set("messages", kept)
            return True
    return False


def _without_thinking(message: Any, signed: bool) -> Any:
    """None where nothing is left of it. `signed`: what bears a signature stays."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not _is_thinking(block) or (signed and block.get("signature"))]
    return message | {"content": kept} if kept else None


def _is_thinking(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking"


_ROWS: Final = (
    Row("top_p", "dropped", "where `temperature` is given", "the API answers 400 to both"),
    Row("thinking", "dropped", "where `tool_choice` forces a tool", "the API answers 400 to both"),
    Row("thinking", "changed", "`budget_tokens` comes down below `max_tokens`", "the API answers 400 to a larger one"),
    Row(
        "messages", "mended", "thinking without a signature is dropped, else all thinking", "a 400 names a `signature`"
    ),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit, mend=_mend)
