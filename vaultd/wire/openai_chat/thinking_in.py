"""How much to think, in the many words that chat clients have for it."""

from __future__ import annotations

from typing import Any

from vaultd.wire import expected
from vaultd.wire.ir import Reasoning, Request


def read_reasoning(said: dict[str, Any], request: Request) -> Reasoning | None:
    """The most exact word counts. What else `extra_body` and `chat_template_kwargs` hold is unread.

    A client that asks for thinking is shown it, unless it says otherwise.
    """
    extra = expected.mapping(said.get("extra_body"), "extra_body")
    google = {
        **expected.mapping(said.get("google"), "google"),
        **expected.mapping(extra.get("google"), "extra_body.google"),
    }
    template = expected.mapping(said.get("chat_template_kwargs"), "chat_template_kwargs")
    request.unread += [f"extra_body.{name}" for name in extra if name != "google"]
    request.unread += [f"google.{name}" for name in google if name not in _THINKING]
    request.unread += [f"chat_template_kwargs.{name}" for name in template if name not in _SWITCHES]
    return (
        _google(google)
        or _level(said)
        or _router(said.get("reasoning"))
        or _thinking(said.get("thinking"))
        or _switched(said.get("enable_thinking"), "enable_thinking")
        or _switched(template.get("enable_thinking", template.get("thinking")), "chat_template_kwargs.enable_thinking")
    )


_THINKING = ("thinking_config", "thinkingConfig")
#: `clear_thinking` keeps earlier thinking out of the prompt (GLM), which is a matter of its own prompt alone.
_SWITCHES = ("enable_thinking", "thinking", "clear_thinking")


def _google(google: dict[str, Any]) -> Reasoning | None:
    """Google's `thinking_config`, in either spelling."""
    said = next((google[name] for name in _THINKING if google.get(name)), None)
    config = expected.mapping(said, "google.thinking_config")
    budget = expected.integer(config.get("thinking_budget", config.get("thinkingBudget")), "thinking_budget")
    level = expected.text(config.get("thinking_level", config.get("thinkingLevel")), "thinking_level").lower()
    shown = expected.flag(config.get("include_thoughts", config.get("includeThoughts")), "include_thoughts")
    if budget is not None:
        return Reasoning(budget=max(budget, -1), summary=_summary(shown, off=budget == 0))
    if level:
        return Reasoning(level=level, summary=_summary(shown, off=level == "none"))
    return None if shown is None else Reasoning(summary=_summary(shown, off=False))


def _level(said: dict[str, Any]) -> Reasoning | None:
    level = expected.text(said.get("reasoning_effort"), "reasoning_effort")
    return Reasoning(level=level, summary=_summary(None, off=level == "none")) if level else None


def _router(value: Any) -> Reasoning | None:
    """OpenRouter's `reasoning`."""
    said = expected.mapping(value, "reasoning")
    level = expected.text(said.get("effort"), "reasoning.effort")
    budget = expected.integer(said.get("max_tokens"), "reasoning.max_tokens")
    shown = False if said.get("exclude") is True else None
    if level:
        return Reasoning(level=level, summary=_summary(shown, off=level == "none"))
    if budget is not None:
        return Reasoning(budget=max(budget, -1), summary=_summary(shown, off=budget == 0))
    return _switched(said.get("enabled"), "reasoning.enabled")


def _thinking(value: Any) -> Reasoning | None:
    """`thinking`, as Anthropic, GLM, DeepSeek and Doubao write it."""
    said = expected.mapping(value, "thinking")
    kind = said.get("type")
    budget = expected.integer(said.get("budget_tokens"), "thinking.budget_tokens")
    if kind == "disabled":
        return _switched(False, "thinking")
    if budget is not None:
        return Reasoning(budget=max(budget, -1), summary=_summary(None, off=budget == 0))
    return _switched(True, "thinking") if kind in ("enabled", "adaptive", "auto") else None


def _switched(value: Any, name: str) -> Reasoning | None:
    on = expected.flag(value, name)
    if on is None:
        return None
    return Reasoning(level="auto", summary="auto") if on else Reasoning(level="none")


def _summary(shown: bool | None, *, off: bool) -> str:
    if shown is None:
        return "" if off else "auto"
    return "auto" if shown else "none"
