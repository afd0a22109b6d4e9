"""How much a model is to think: levels and budgets into each other, what a model can do of it, and the model names
that say it.

The tables are CLIProxyAPI's of August 2026, which clients and their configs have grown used to. What is asked in one
vendor's terms is brought into another's range rather than refused: the client cannot know that range.
"""

from __future__ import annotations

import re
from typing import Final

from vaultd.wire.ir import Reasoning, Request, Target

_BUDGETS: Final = {
    "none": 0,
    "auto": -1,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 128000,
}
#: From little to much.
_ORDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
#: The last parentheses of a model's name.
_SUFFIX: Final = re.compile(r"(.+)\(([^()]*)\)", re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_OLD_GEMINI: Final = re.compile(r"(gemini-.+)-(?:thinking-([0-9]{1,9})|(nothinking)|(reasoning))")


def budget_of(level: str) -> int:
    """Tokens; 0 is off, -1 leaves it to the model, as every word does that is no known level."""
    return _BUDGETS.get(level, -1)


def level_of(budget: int) -> str:
    """The least level that holds `budget` tokens; `max` is never one, for it means more than any number."""
    if budget < 0:
        return "auto"
    return next((level for level in _ORDER[:5] if budget <= _BUDGETS[level]), "xhigh")


def fit(request: Request, target: Target) -> Reasoning | None:
    """What to say to `target` of what the client asked, as level and as budget; None is to say nothing.

    Where the model's limits are unknown the client's word stays as it is. Where levels are known, `budget` still tells
    what was asked (-1: left to the model; 32768: `xhigh`), for vendors that round differently. A client that only said
    what it wants to see of the thinking gets level "" and budget None.
    """
    asked = request.reasoning
    if asked is None or target.thinks is False:
        return None
    if not asked.level and asked.budget is None:
        return asked
    wanted = budget_of(asked.level) if asked.budget is None else max(asked.budget, -1)
    budget = _within(wanted, target) if target.most_budget else wanted
    if target.levels:
        level = _nearest(asked.level or level_of(wanted), target)
    else:
        level = asked.level if asked.level and budget == wanted else level_of(budget)
    return Reasoning(level=level, budget=budget, summary=asked.summary)


def _within(budget: int, target: Target) -> int:
    if budget < 0:
        return -1 if target.dynamic_allowed else (target.least_budget + target.most_budget) // 2
    if budget == 0 and target.zero_allowed:
        return 0
    return min(max(budget, target.least_budget), target.most_budget)


def _nearest(level: str, target: Target) -> str:
    """Of the target's levels the one next to `level`, of two the lower."""
    if level in target.levels or (level == "none" and target.zero_allowed):
        return level
    known = sorted(_ORDER.index(name) for name in target.levels if name in _ORDER)
    if not known:
        return level
    # Left to the model, or a word of nobody's: the middle, as for budgets.
    wanted = _ORDER.index(level) if level in _ORDER else _ORDER.index("medium")
    return _ORDER[min(known, key=lambda at: (abs(at - wanted), at))]


def suffix(model: str) -> tuple[str, Reasoning | None]:
    """`name(value)` as the name and what it asks for: a level, `auto`, -1 or a budget in tokens. It goes before what
    the body says. Any other value belongs to the name."""
    found = _SUFFIX.fullmatch(model)
    if found is None:
        return model, None
    name, value = found[1], found[2].strip().lower()
    if value in _BUDGETS:
        return name, Reasoning(level=value)
    if value == "-1":
        return name, Reasoning(level="auto")
    if _NUMBER.fullmatch(value):
        return name, Reasoning(budget=int(value))
    return model, None


def old_gemini_suffix(model: str) -> tuple[str, Reasoning | None]:
    """`…-thinking-<n>`, `…-nothinking`, `…-reasoning`, as CLIProxyAPI took them of Gemini's models until 2025. Only for
    a name that is not itself a model's."""
    found = _OLD_GEMINI.fullmatch(model)
    if found is None:
        return model, None
    if found[2]:
        return found[1], Reasoning(budget=int(found[2]))
    return found[1], Reasoning(level="none", summary="none") if found[3] else Reasoning(level="auto")
