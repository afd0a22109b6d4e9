"""`anthropic-fixes`: three combinations that api.anthropic.com answers with 400, brought to what it takes."""

from __future__ import annotations

from typing import Final

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


_ROWS: Final = (
    Row("top_p", "dropped", "where `temperature` is given", "the API answers 400 to both"),
    Row("thinking", "dropped", "where `tool_choice` forces a tool", "the API answers 400 to both"),
    Row("thinking", "changed", "`budget_tokens` comes down below `max_tokens`", "the API answers 400 to a larger one"),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit)
