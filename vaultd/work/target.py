"""What a grammar needs to know of the model it writes for, out of the catalogue. Pure."""

from __future__ import annotations

from vaultd.catalog.manifest import Model, Thinking
from vaultd.wire.ir import Target


def target_of(model: Model) -> Target:
    """A model whose `thinking` is given without a range and without levels is known not to think."""
    said = model.thinking
    limits = said or Thinking()
    return Target(
        model=model.upstream or model.id,
        max_output=model.max_output,
        thinks=None if said is None else bool(limits.max or limits.levels),
        least_budget=limits.min,
        most_budget=limits.max,
        zero_allowed=limits.zero_allowed,
        dynamic_allowed=limits.dynamic_allowed,
        levels=tuple(limits.levels),
        input=tuple(model.input) if len(model.input) > 1 else (),
    )
