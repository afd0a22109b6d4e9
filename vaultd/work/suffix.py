"""What a model's name asks for (`gpt-5-high`, `gpt-5(high)`, `gemini-2.5-pro(16384)`), put into a client's own body.

It wins over what the body says: whoever writes it into the name means it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vaultd.catalog.manifest import FormatName
from vaultd.wire.draft import Draft
from vaultd.wire.ir import Reasoning


def ask(body: Draft, fmt: FormatName, wanted: Reasoning | None, *, levels: bool) -> None:
    """`wanted` fits the model (`wire.thinking`), None where it does not think; `levels`: it knows levels alone."""
    _FORMATS[fmt](body, wanted, levels)


def _chat(body: Draft, wanted: Reasoning | None, _levels: bool) -> None:
    if wanted is None:
        body.drop("reasoning_effort")
    else:
        body.set("reasoning_effort", wanted.level)


def _responses(body: Draft, wanted: Reasoning | None, _levels: bool) -> None:
    if wanted is None:
        body.drop("reasoning")
    else:
        body.set("reasoning", _object(body, "reasoning") | {"effort": wanted.level})


def _messages(body: Draft, wanted: Reasoning | None, levels: bool) -> None:
    if wanted is None or wanted.budget == 0 or wanted.level == "none":
        body.drop("thinking")
    elif levels:
        body.set("thinking", _object(body, "thinking") | {"type": "adaptive"})
        body.set("output_config", _object(body, "output_config") | {"effort": wanted.level})
    else:
        body.set("thinking", {"type": "enabled", "budget_tokens": wanted.budget})


def _gemini(body: Draft, wanted: Reasoning | None, levels: bool) -> None:
    name = "generation_config" if "generation_config" in body else "generationConfig"
    config = _object(body, name)
    config.pop("thinking_config", None)
    config.pop("thinkingConfig", None)
    if wanted is not None:
        config["thinkingConfig"] = {"thinkingLevel": wanted.level} if levels else {"thinkingBudget": wanted.budget}
    if config or name in body:
        body.set(name, config)


def _object(body: Draft, name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


_FORMATS: Final[dict[FormatName, Callable[[Draft, Reasoning | None, bool], None]]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic-messages": _messages,
    "gemini": _gemini,
}
