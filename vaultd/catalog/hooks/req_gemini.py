"""`gemini-fixes`: most Gemini models refuse a conversation that does not begin with the user, and each has a range for
its thinking, which a refusal of ours names and a silent correction would hide."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.catalog.hooks.shape import Asked, Body, CannotServe, RequestHook, Row


class _Turn(msgspec.Struct):
    role: Any = ""


_turns: Final = msgspec.json.Decoder(list[msgspec.Raw])
_turn: Final = msgspec.json.Decoder(_Turn)
_EMPTY: Final = b'{"role":"user","parts":[{"text":""}]}'


def _edit(body: Body, asked: Asked) -> None:
    if asked.budgets is not None and not asked.translated:
        for name in ("generationConfig", "generation_config"):
            if b"udget" in (body.raw(name) or b""):
                _within(body.get(name), *asked.budgets)
    _user_first(body)


def _within(config: Any, least: int, most: int) -> None:
    """0 is off and -1 leaves it to the model: what a model makes of those is its own affair."""
    thinking = (config.get("thinkingConfig") or config.get("thinking_config")) if isinstance(config, dict) else None
    if not isinstance(thinking, dict):
        return
    budget = thinking.get("thinkingBudget", thinking.get("thinking_budget"))
    if isinstance(budget, int) and budget > 0 and not least <= budget <= most:
        raise CannotServe(f"`generationConfig`: thinkingBudget {budget} is out of this model's range [{least},{most}]")


def _user_first(body: Body) -> None:
    """An empty user turn goes before a leading model turn; the client's own turns stay as they stand."""
    contents = body.raw("contents")
    if contents is None:
        return
    try:
        turns = _turns.decode(contents)
        first = _turn.decode(turns[0]).role if turns else ""
    except (msgspec.DecodeError, RecursionError):
        return  # the vendor says what is wrong with it
    if first == "model":
        body.set_raw("contents", contents.replace(b"[", b"[" + _EMPTY + b",", 1))


_ROWS: Final = (
    Row(
        "generationConfig",
        "refused",
        "with 400, where its thinking budget is out of a listed model's range",
        "Google refuses it too; the error names the range",
    ),
    Row("contents", "changed", "an empty user turn goes before a leading model turn", "most models refuse the latter"),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit)
